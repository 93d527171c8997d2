import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import { type Address, addressesOf, type Reach } from './address.ts'
import { NetFailure } from './net-failure.ts'

const maxRedirects = 5
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
/** The redirects that repeat the request as it was; the others ask for the new place with GET. */
const repeating: ReadonlySet<number> = new Set([307, 308])

export interface GuardedRequest {
  /** GET when nothing is said. */
  readonly method?: string | undefined
  readonly body?: string | undefined
  /** What a hop is sent. It is asked for each, since what is meant for one host must not go to another. */
  headers(hop: URL): Readonly<Record<string, string>>
  /** Where a hop may go. It throws a {@link NetFailure} when it may not be made at all. */
  reach(hop: URL): Reach
  readonly signal: AbortSignal
}

export interface GuardedResponse {
  /** Where the answer came from, after redirects. */
  readonly url: URL
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Read it with `readBody`, or destroy it. */
  readonly message: IncomingMessage
}

/** Sends the request and follows its redirects. Throws a {@link NetFailure}, an error of the system, or the signal's reason. */
export async function guardedRequest(first: URL, request: GuardedRequest): Promise<GuardedResponse> {
  let { method = 'GET', body } = request
  let url = first
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const reach = request.reach(url)
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new NetFailure(`${url.protocol} is not followed`)
    const addresses = await addressesOf(url, reach, request.signal)
    const message = await send(url, addresses, { method, body, headers: request.headers(url), signal: request.signal })
    const { statusCode: status = 0, headers } = message
    if (!redirects.has(status) || headers.location === undefined) return { url, status, headers, message }
    message.destroy()
    url = target(headers.location, url)
    if (!repeating.has(status) && method !== 'HEAD') [method, body] = ['GET', undefined]
  }
  throw new NetFailure(`it redirects more than ${maxRedirects} times`)
}

function target(location: string, base: URL): URL {
  const url = URL.parse(location, base.href)
  if (url === null) throw new NetFailure('it redirects to something that is not a URL')
  return url
}

type Hop = Pick<GuardedRequest, 'body' | 'signal'> & { method: string; headers: Readonly<Record<string, string>> }

function send(url: URL, addresses: readonly Address[], hop: Hop): Promise<IncomingMessage> {
  const pinned: LookupFunction = (_host, { all }, done) => {
    const [first] = addresses
    if (all === true) done(null, [...addresses])
    else done(null, first?.address ?? '', first?.family)
  }
  const length = hop.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(hop.body)) }
  const options = {
    agent: false,
    method: hop.method,
    headers: { ...hop.headers, ...length },
    lookup: pinned,
    signal: hop.signal,
  }
  const start = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    start(url, options, resolve).on('error', reject).end(hop.body)
  })
}
