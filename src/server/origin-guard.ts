import type { Server } from 'node:http'
import type { FastifyRequest } from 'fastify'
import ipaddr from 'ipaddr.js'
import { Refusal } from '../protocol/protocol.ts'

export interface OriginGuardOptions {
  readonly server: Server
  /** Host names and addresses besides loopback; an unspecified address (`0.0.0.0`, `::`) stands for every address. */
  readonly hosts: readonly string[]
  /** Origins besides the server's own. */
  readonly origins: readonly string[]
}

/**
 * A check for a server that asks for no token: a page in a browser on this machine must not be able to use it. Throws
 * `Refusal('forbidden_origin')` for a request whose `Host` is a name that an attacker may have pointed here (DNS
 * rebinding), or whose `Origin` is neither the server's own nor allowed. A browser cannot lie about either.
 */
export function originGuard({ server, hosts, origins }: OriginGuardOptions): (request: FastifyRequest) => void {
  const names = new Set(hosts.map(bare))
  const anyAddress = hosts.some((host) => addressOf(bare(host))?.range() === 'unspecified')
  let onUnixSocket = false
  server.on('listening', () => {
    const address = server.address()
    onUnixSocket = address === null || typeof address === 'string'
  })

  const isAllowedHost = (header: string): boolean => {
    const host = hostOf(header)
    if (host === undefined) return false
    const address = addressOf(host)
    if (address === undefined) return names.has(host) || host === 'localhost' || host.endsWith('.localhost')
    return names.has(host) || address.range() === 'loopback' || anyAddress
  }

  return ({ headers }) => {
    const { host = '', origin } = headers
    if (!onUnixSocket && !isAllowedHost(host)) {
      throw new Refusal(
        'forbidden_origin',
        'The Host of the request is not one that this server is known by: --listen names one, with --auth-token any will do',
      )
    }
    if (origin !== undefined && !origins.includes(origin) && !isOwn(origin, host)) {
      throw new Refusal('forbidden_origin', 'The Origin of the request is not allowed: --cors-origin allows it')
    }
  }
}

/** Same host and port as the request went to, over http or over a proxy's https. */
function isOwn(origin: string, host: string): boolean {
  const scheme = /^https?:\/\//.exec(origin)?.[0]
  if (scheme === undefined || !URL.canParse(origin) || !URL.canParse(scheme + host)) return false
  return new URL(origin).host === new URL(scheme + host).host
}

/** The host of a `Host` header, without its port. */
function hostOf(header: string): string | undefined {
  const match = /^(\[[\da-f:.]+\]|[^\s:@/?#[\]]+)(?::\d{1,5})?$/i.exec(header)
  return match?.[1] === undefined ? undefined : bare(match[1])
}

function bare(host: string): string {
  return host.toLowerCase().replace(/^\[|\]$|\.$/g, '')
}

function addressOf(host: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  return ipaddr.IPv4.isValidFourPartDecimal(host) || ipaddr.IPv6.isValid(host) ? ipaddr.process(host) : undefined
}
