import type { IncomingMessage } from 'node:http'
import { newId } from '../protocol/protocol.ts'

export const requestIdHeader = 'x-request-id'

/** The id that the client gave the request, when it is 1 to 128 visible ASCII characters; else a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers[requestIdHeader]
  return typeof given === 'string' && /^[\x21-\x7e]{1,128}$/.test(given) ? given : newId()
}
