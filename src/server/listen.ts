import { lstat, mkdir, unlink } from 'node:fs/promises'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname, resolve } from 'node:path'
import ipaddr from 'ipaddr.js'

/** Where a server listens: a TCP address, a Unix socket, or a listening socket that the parent process hands over. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'fd'; readonly fd: number }

/** What a Fastify application has, whatever its type parameters. */
interface Application {
  readonly server: Server
  ready(): PromiseLike<unknown>
  listen(options: { host?: string; port?: number; path?: string }): Promise<string>
}

/** The address cannot be used. The message is one sentence for the person who chose it. */
export class ListenError extends Error {
  readonly code: 'malformed' | 'taken' | 'unusable'

  constructor(code: ListenError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'ListenError'
    this.code = code
  }
}

const forms = 'host:port, [ipv6]:port, unix://PATH or fd://N'

/**
 * Reads `host:port` (an empty host means every IPv4 address), `[ipv6]:port`, `unix://PATH` or `fd://N` with N >= 3.
 * Anything else throws a `ListenError` with the code `malformed`.
 */
export function parseListenAddress(text: string): ListenAddress {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text)
  if (scheme) return parseScheme(text, scheme[1] ?? '', scheme[2] ?? '')
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/[\]]*)):(\d{1,5})$/i.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65_535) throw new ListenError('malformed', `"${text}" is not an address: write ${forms}`)
  const [, ipv6, name] = match
  if (ipv6 !== undefined && !ipaddr.IPv6.isValid(ipv6)) {
    throw new ListenError('malformed', `"${ipv6}" is not an IPv6 address`)
  }
  return { kind: 'tcp', host: ipv6 ?? (name || '0.0.0.0'), port }
}

function parseScheme(text: string, scheme: string, rest: string): ListenAddress {
  if (scheme === 'unix' && rest !== '') return { kind: 'unix', path: resolve(rest) }
  if (scheme === 'fd' && /^\d{1,6}$/.test(rest) && Number(rest) >= 3) return { kind: 'fd', fd: Number(rest) }
  if (scheme === 'fd')
    throw new ListenError('malformed', `"${text}" is not an inherited socket: N in fd://N is 3 or more`)
  if (scheme === 'unix') throw new ListenError('malformed', `"${text}" lacks the path of the socket`)
  throw new ListenError('malformed', `${scheme}:// addresses are not supported: write ${forms}`)
}

/**
 * Whether only this machine can reach the address. An inherited socket may be bound anywhere, so it does not count.
 */
export function isLoopback(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  if (address.kind === 'fd') return false
  if (ipaddr.isValid(address.host)) return ipaddr.process(address.host).range() === 'loopback'
  return address.host === 'localhost'
}

/**
 * Makes the application listen and answers where: `http://host:port` with the real port, `unix://PATH` or `fd://N`.
 * A Unix socket is created with its directory, replaces only a socket that nobody serves, and is gone after `close()`.
 * Throws a `ListenError` when the address is taken or cannot be used.
 */
export async function listen(app: Application, address: ListenAddress): Promise<string> {
  if (address.kind === 'unix') await clearSocket(address.path)
  try {
    if (address.kind === 'fd') return await inherit(app, address.fd)
    if (address.kind === 'tcp') return await app.listen({ host: address.host, port: address.port })
    await app.listen({ path: address.path })
    return `unix://${address.path}`
  } catch (error) {
    throw explain(error, address)
  }
}

/** Fastify's own `listen` cannot name the address of an inherited Unix socket, and throws over it. */
async function inherit(app: Application, fd: number): Promise<string> {
  await app.ready()
  await new Promise<void>((done, fail) => {
    app.server.once('error', fail)
    app.server.listen({ fd }, () => {
      app.server.off('error', fail)
      done()
    })
  })
  const bound = app.server.address()
  if (bound === null || typeof bound === 'string') return `fd://${fd}`
  return `http://${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`
}

async function clearSocket(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    const found = await lstat(path).catch((error) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
    if (!found) return
    // Connecting to a plain file is refused as well, so that alone does not tell a dead socket from somebody's data.
    if (!found.isSocket()) throw new ListenError('taken', `${path} exists and is not a socket`)
    if (await answers(path)) throw new ListenError('taken', `another process already listens on unix://${path}`)
    await unlink(path)
  } catch (error) {
    throw explain(error, { kind: 'unix', path })
  }
}

/** Whether somebody serves the socket. Everything but a plain refusal counts as yes: then it is not ours to remove. */
function answers(path: string): Promise<boolean> {
  return new Promise((done) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      done(true)
    })
    probe.once('error', (error) => done(codeOf(error) !== 'ECONNREFUSED' && codeOf(error) !== 'ENOENT'))
  })
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process already listens there',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'there is no such host',
  EINVAL: 'it is not something to listen on',
  EBADF: 'there is no such open file',
  ENOTSOCK: 'it is not a socket',
  ENAMETOOLONG: 'the path is too long for a socket',
}

function explain(error: unknown, address: ListenAddress): ListenError {
  if (error instanceof ListenError) return error
  const code = codeOf(error)
  const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error))
  const taken = code === 'EADDRINUSE'
  return new ListenError(taken ? 'taken' : 'unusable', `cannot listen on ${describe(address)}: ${reason}`, error)
}

function describe(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix://${address.path}`
  if (address.kind === 'fd') return `fd://${address.fd}`
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
