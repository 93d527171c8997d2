import type { IncomingHttpHeaders } from 'node:http'

/** What is about the connection and its proxies, and so means nothing to anybody behind this server. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What opens this server, where it asks for a token. */
const credentials: ReadonlySet<string> = new Set(['authorization', 'cookie'])

/**
 * The headers of a run request that the agent's `${headers.NAME}` can stand for, by their names in lower case. Never those of
 * the connection, nor those that it names; and where the server is guarded by a token, never the client's credentials.
 */
export function passedHeaders(headers: IncomingHttpHeaders, isGuarded: boolean): Readonly<Record<string, string>> {
  const named = new Set((headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]): [string, string][] => {
      if (value === undefined || hopByHop.has(name) || named.has(name)) return []
      if (isGuarded && credentials.has(name)) return []
      return [[name, typeof value === 'string' ? value : value.join(', ')]]
    }),
  )
}
