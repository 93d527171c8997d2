import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'
import { type LookupFunction, Socket } from 'node:net'

export interface NoWayOut extends Disposable {
  /** The places that were refused, in the order of the attempts. */
  readonly refused: readonly string[]
}

/**
 * Keeps this process to 127.0.0.1 until it is disposed of: no name is looked up and no other address connected to. Agent
 * files that people have written name servers of others, which a test must not call.
 */
export function noWayOut(): NoWayOut {
  const refused: string[] = []
  const { connect } = Socket.prototype
  const { lookup } = dns.promises
  const refuse = (host: string): Error => {
    refused.push(host)
    return Object.assign(new Error(`${host} is not for this test`), { code: 'ENETUNREACH' })
  }
  Socket.prototype.connect = function (this: Socket, ...args: unknown[]): Socket {
    const [options, done] = Array.isArray(args[0]) ? args[0] : args
    const host = hostOf(options)
    if (host === undefined || isHere(host)) return Reflect.apply(connect, this, args)
    // A name that cannot be looked up is the usual way in which a connection fails, with all that comes of it.
    const lookup: LookupFunction = (_host, _options, found) => process.nextTick(found, refuse(host))
    return Reflect.apply(connect, this, [{ ...Object(options), host: 'elsewhere.invalid', lookup }, done])
  }
  dns.promises.lookup = ((host: string, options: object) =>
    isHere(host) ? lookup(host, options) : Promise.reject(refuse(host))) as typeof lookup
  syncBuiltinESMExports()
  return {
    refused,
    [Symbol.dispose]: () => {
      Socket.prototype.connect = connect
      dns.promises.lookup = lookup
      syncBuiltinESMExports()
    },
  }
}

/** Where a socket is to go; `undefined`: this machine, or a path on it. */
function hostOf(options: unknown): string | undefined {
  return typeof options === 'object' && options !== null && 'host' in options ? String(options.host) : undefined
}

/** `localhost` is not: a file may mean a server by it that a person has running there. */
function isHere(host: string): boolean {
  return host === '127.0.0.1'
}
