import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { addAbortSignal, Readable } from 'node:stream'
import type { FetchLike } from '@modelcontextprotocol/client'

/** Milliseconds after which an idle connection is not used again: a little less than servers mostly keep one. */
const idleMs = 4000
const agents = {
  'http:': new HttpAgent({ keepAlive: true, timeout: idleMs }),
  'https:': new HttpsAgent({ keepAlive: true, timeout: idleMs }),
}

/** Statuses whose answers have no body. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304])

/**
 * A fetch that waits for an answer, and for the next piece of it, until its signal aborts. The one of Node gives up after
 * five minutes of silence, which a tool call may well need, and no option of its own changes that. Sends text only, and
 * follows no redirect: whoever asks does that within the origin. Rejects with the signal's reason or the system's error.
 */
export const patientFetch: FetchLike = async (input, init = {}) => {
  const signal = init.signal ?? undefined
  signal?.throwIfAborted()
  const message = await send(new URL(input), init, signal).catch((error: unknown) => {
    signal?.throwIfAborted()
    throw error
  })
  if (signal !== undefined) addAbortSignal(signal, message)
  const { statusCode: status = 502, rawHeaders } = message
  const headers = new Headers()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '')
  if (!bodiless.has(status)) return new Response(Readable.toWeb(message), { status, headers })
  message.resume()
  return new Response(null, { status, headers })
}

function send(url: URL, init: RequestInit, signal: AbortSignal | undefined): Promise<IncomingMessage> {
  const { method = 'GET', body } = init
  if (body !== undefined && body !== null && typeof body !== 'string') throw new TypeError('only text can be sent')
  const [start, agent] = url.protocol === 'https:' ? [requestHttps, agents['https:']] : [requestHttp, agents['http:']]
  const length = body ? { 'content-length': String(Buffer.byteLength(body)) } : {}
  // What is not asked for compressed need not be unpacked here.
  const headers = { 'accept-encoding': 'identity', ...Object.fromEntries(new Headers(init.headers)), ...length }
  return new Promise((resolve, reject) => {
    start(url, { method, headers, agent, ...(signal && { signal }) }, resolve)
      .on('error', reject)
      .end(body ?? undefined)
  })
}
