import { type GuardedResponse, guardedRequest, isLoopback, NetFailure, type Reach, readBody } from '../net/net.ts'
import { Refusal } from '../protocol/protocol.ts'
import { maxBytes } from './instruction-file.ts'

const gitHubHosts = new Set(['github.com', 'api.github.com', 'raw.githubusercontent.com', 'gist.githubusercontent.com'])

export type Fetched =
  | { readonly changed: false }
  | { readonly changed: true; readonly text: string; readonly etag: string | undefined }

export interface FetchOptions {
  readonly etag?: string | undefined
  /** Sent to GitHub's own hosts only. */
  readonly gitHubToken?: string | undefined
  readonly signal: AbortSignal
}

/**
 * Fetches the text at `url`, at most a mebibyte of it. Every hop must be https to a public address, and the connection
 * goes to the very address that was checked; only a `url` that is http on a loopback host may stay there.
 * Throws `agent_source_unavailable`.
 */
export async function guardedFetch(url: URL, options: FetchOptions): Promise<Fetched> {
  const mayStayHere = url.protocol === 'http:' && isLoopback(url)
  try {
    const response = await guardedRequest(url, {
      headers: (hop) => headersFor(hop, options),
      reach: (hop) => reachOf(hop, mayStayHere),
      signal: options.signal,
    })
    return await read(response)
  } catch (error) {
    const why = options.signal.aborted ? 'it took too long' : error instanceof Error ? error.message : String(error)
    throw new Refusal('agent_source_unavailable', `${url.origin}${url.pathname} cannot be read: ${why}`)
  }
}

function reachOf(hop: URL, mayStayHere: boolean): Reach {
  if (hop.protocol === 'https:') return 'public'
  if (mayStayHere && isLoopback(hop)) return 'loopback'
  throw new NetFailure('only https is followed')
}

function headersFor(hop: URL, { etag, gitHubToken }: FetchOptions): Readonly<Record<string, string>> {
  const authorized = hop.protocol === 'https:' && gitHubToken !== undefined && gitHubHosts.has(hop.hostname)
  return {
    accept: 'application/yaml, text/yaml, text/plain, */*',
    'user-agent': 'quarterdeck',
    ...(etag === undefined ? {} : { 'if-none-match': etag }),
    ...(authorized ? { authorization: `Bearer ${gitHubToken}` } : {}),
  }
}

async function read({ status, headers, message }: GuardedResponse): Promise<Fetched> {
  if (status !== 200) message.destroy()
  if (status === 304) return { changed: false }
  if (status !== 200) throw new NetFailure(`it answered ${status}`)
  const { bytes, cut } = await readBody(message, maxBytes)
  if (cut) throw new NetFailure(`it is larger than ${maxBytes} bytes`)
  return { changed: true, text: bytes.toString('utf8'), etag: headers.etag }
}
