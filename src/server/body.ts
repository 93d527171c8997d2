import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Endpoint, Refusal } from '../protocol/protocol.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly endpoint?: Endpoint
  }
}

/**
 * Reads bodies by the wire's rules: JSON, an empty body is nothing (the route says what that stands for), and keys that
 * would reach into prototypes are dropped like any other key that nobody knows.
 */
export function readBodies(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('remove', 'remove')
  app.removeAllContentTypeParsers()

  const json = (request: FastifyRequest, text: string, done: (error: Error | null, body?: unknown) => void): void => {
    if (text.trim() === '') done(null, undefined)
    else {
      parseJson(request, text, (error, body) => {
        const refusal = error === null ? (isDeep(body) ? tooDeep() : null) : malformed(error)
        done(refusal, body)
      })
    }
  }

  app.addContentTypeParser('application/json', { parseAs: 'string' }, json)
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, text: string, done) => {
    const isJson = request.routeOptions.config.endpoint?.anyContentType === true
    if (isJson || text === '') json(request, text, done)
    else done(new Refusal('unsupported_media_type'))
  })
}

function malformed(cause: Error): Refusal {
  const details = [{ path: 'body', message: 'is not JSON' }]
  return new Refusal('invalid_request', 'The body is not JSON', { details, cause })
}

/** Nobody who means well nests deeper, and whatever walks through a value takes a piece of the stack for each level. */
const deepest = 256

function isDeep(body: unknown): boolean {
  let level: readonly unknown[] = [body]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > deepest) return true
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
  }
  return false
}

function tooDeep(): Refusal {
  const details = [{ path: 'body', message: `is nested deeper than ${deepest} levels` }]
  return new Refusal('invalid_request', `The body is nested deeper than ${deepest} levels`, { details })
}
