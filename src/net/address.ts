import { lookup } from 'node:dns/promises'
import ipaddr from 'ipaddr.js'
import { NetFailure } from './net-failure.ts'

/** Which addresses a request may go to: those of the internet, those of this machine, or all. */
export type Reach = 'public' | 'loopback' | 'any'

export interface Address {
  readonly address: string
  readonly family: number
}

const kinds: Readonly<Record<Reach, string>> = {
  public: 'a public address',
  loopback: 'a loopback address',
  any: 'an address',
}

/** Whether the URL's host names this machine. */
export function isLoopback(url: URL): boolean {
  const host = bareHost(url)
  return host === 'localhost' || (ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback')
}

/** The addresses of the URL's host that are within reach. Throws a {@link NetFailure} when there are none. */
export async function addressesOf(url: URL, reach: Reach, signal: AbortSignal): Promise<readonly Address[]> {
  const host = bareHost(url)
  const found = ipaddr.isValid(host)
    ? [{ address: host, family: host.includes(':') ? 6 : 4 }]
    : await abortable(lookup(host, { all: true }), signal)
  const allowed = found.filter(({ address }) => isWithin(address, reach))
  if (allowed.length > 0) return allowed
  throw new NetFailure(`${host} is not ${kinds[reach]}`)
}

function isWithin(address: string, reach: Reach): boolean {
  if (reach === 'any') return true
  return ipaddr.process(address).range() === (reach === 'public' ? 'unicast' : 'loopback')
}

/** The host without the brackets that IPv6 addresses have in URLs. */
function bareHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

/** A lookup cannot be stopped, so it is left behind. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
