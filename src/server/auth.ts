import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { Refusal } from '../protocol/protocol.ts'

/** Probes need no token and always answer. */
export function isProbe(request: FastifyRequest): boolean {
  const route = request.routeOptions.url
  return route === '/health' || route === '/ready'
}

/** A check that throws `Refusal('unauthorized')` unless a request bears the token. Compares in constant time. */
export function bearerCheck(token: string): (request: FastifyRequest) => void {
  const expected = digest(token)
  return (request) => {
    const header = request.headers.authorization
    if (header === undefined || header === '') throw new Refusal('unauthorized', 'missing Authorization header')
    if (!header.startsWith('Bearer ')) throw new Refusal('unauthorized', 'invalid Authorization header format')
    const given = digest(header.slice('Bearer '.length))
    if (!timingSafeEqual(given, expected)) throw new Refusal('unauthorized', 'invalid token')
  }
}

/** Digests have one length, so that comparing them tells nothing about the token's. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
