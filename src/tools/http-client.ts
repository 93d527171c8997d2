import { type GuardedRequest, type GuardedResponse, guardedRequest, type Reach } from '../net/net.ts'
import { within } from './deadline.ts'
import { CallFailure } from './result.ts'

export const userAgent = 'quarterdeck'

export interface HttpRequest {
  readonly method?: string
  readonly body?: string | undefined
  /** Sent to the host of the first URL, and to no other that it redirects to. */
  readonly headers: Readonly<Record<string, string>>
  /** Where a hop may go; it throws when it may not be made at all. */
  reach(hop: URL): Reach
  /** For the request and the reading of its answer. */
  readonly seconds: number
  readonly signal: AbortSignal
}

/** Sends a request and reads its answer. Throws a `CallFailure` that says why it cannot. */
export async function http<T>(
  url: URL,
  request: HttpRequest,
  read: (response: GuardedResponse) => Promise<T>,
): Promise<T> {
  const { seconds, signal } = request
  try {
    return await within(seconds, signal, async (signal) =>
      read(await guardedRequest(url, guarded(url, request, signal))),
    )
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof CallFailure) throw new CallFailure(`${nameOf(url)}: ${error.message}`)
    throw new CallFailure(`${nameOf(url)} cannot be read: ${reasonOf(error)}`)
  }
}

/** The URL that a text is, if it is one that can be fetched. */
export function httpUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) throw new CallFailure(`${text} is not an http or https URL.`)
  return url
}

/** A value as one segment of a path. Throws for those that would lead out of it. */
export function pathSegment(value: string): string {
  if (value === '.' || value === '..') throw new CallFailure(`"${value}" cannot be a part of a path.`)
  return encodeURIComponent(value)
}

/** How a URL is told: its query and its user may be secrets. */
export function nameOf({ origin, pathname }: URL): string {
  return `${origin}${pathname}`
}

function guarded(first: URL, { method, body, headers, reach }: HttpRequest, signal: AbortSignal): GuardedRequest {
  return {
    method,
    body,
    headers: (hop) =>
      hop.origin === first.origin ? { 'user-agent': userAgent, ...lowered(headers) } : { 'user-agent': userAgent },
    reach,
    signal,
  }
}

/** So that a header that is said twice, in different case, is sent once. */
export function lowered(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.message || ('code' in error ? String(error.code) : error.name)
}
