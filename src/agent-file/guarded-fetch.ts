import { lookup } from 'node:dns/promises'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Refusal } from '../protocol/protocol.ts'
import { maxBytes } from './instruction-file.ts'

const maxRedirects = 5
const redirects: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308])
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

type Address = { readonly address: string; readonly family: number }

/**
 * Fetches the text at `url`, at most a mebibyte of it. Every hop must be https to a public address, and the connection
 * goes to the very address that was checked; only a `url` that is http on a loopback host may stay there.
 * Throws `agent_source_unavailable`.
 */
export async function guardedFetch(url: URL, options: FetchOptions): Promise<Fetched> {
  try {
    return await follow(url, options)
  } catch (error) {
    if (error instanceof Refusal) throw error
    const why = options.signal.aborted ? 'it took too long' : error instanceof Error ? error.message : String(error)
    throw unavailable(url, why)
  }
}

/** Whether the URL's host names this machine. */
export function isLoopback(url: URL): boolean {
  const host = bare(url.hostname)
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback')
}

async function follow(first: URL, options: FetchOptions): Promise<Fetched> {
  const mayStayHere = first.protocol === 'http:' && isLoopback(first)
  let url = first
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const range = rangeFor(url, mayStayHere)
    const addresses = await checkedAddresses(url, range, options.signal)
    const response = await send(url, addresses, options)
    const { location } = response.headers
    if (!redirects.has(response.statusCode) || location === undefined) return await read(url, response)
    response.destroy()
    url = new URL(location, url)
  }
  throw unavailable(first, `it redirects more than ${maxRedirects} times`)
}

function rangeFor(url: URL, mayStayHere: boolean): 'unicast' | 'loopback' {
  if (url.protocol === 'https:') return 'unicast'
  if (url.protocol === 'http:' && mayStayHere && isLoopback(url)) return 'loopback'
  throw unavailable(url, 'only https is followed')
}

async function checkedAddresses(url: URL, range: string, signal: AbortSignal): Promise<readonly Address[]> {
  const host = bare(url.hostname)
  const found = ipaddr.isValid(host)
    ? [{ address: host, family: host.includes(':') ? 6 : 4 }]
    : await abortable(lookup(host, { all: true }), signal)
  const allowed = found.filter(({ address }) => ipaddr.process(address).range() === range)
  if (allowed.length > 0) return allowed
  const what = range === 'loopback' ? 'a loopback address' : 'a public address'
  throw unavailable(url, `${host} is not ${what}`)
}

function send(url: URL, addresses: readonly Address[], options: FetchOptions): Promise<IncomingMessage> {
  const pinned: LookupFunction = (_host, { all }, done) => {
    const [first] = addresses
    if (all === true) done(null, [...addresses])
    else done(null, first?.address ?? '', first?.family)
  }
  const secure = url.protocol === 'https:'
  const authorized = secure && options.gitHubToken !== undefined && gitHubHosts.has(url.hostname)
  const headers = {
    accept: 'application/yaml, text/yaml, text/plain, */*',
    'user-agent': 'quarterdeck',
    ...(options.etag === undefined ? {} : { 'if-none-match': options.etag }),
    ...(authorized ? { authorization: `Bearer ${options.gitHubToken}` } : {}),
  }
  const start = secure ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    start(url, { agent: false, headers, lookup: pinned, signal: options.signal }, resolve).on('error', reject).end()
  })
}

async function read(url: URL, response: IncomingMessage): Promise<Fetched> {
  const { statusCode, headers } = response
  if (statusCode !== 200) response.destroy()
  if (statusCode === 304) return { changed: false }
  if (statusCode !== 200) throw unavailable(url, `it answered ${statusCode}`)
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop early destroys the response.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw unavailable(url, `it is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return { changed: true, text: Buffer.concat(chunks).toString('utf8'), etag: headers.etag }
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '')
}

function unavailable(url: URL, why: string): Refusal {
  return new Refusal('agent_source_unavailable', `${url.origin}${url.pathname} cannot be read: ${why}`)
}
