import type { Socket } from 'node:net'
import { Refusal } from '../protocol/protocol.ts'
import { problemOf } from './problem.ts'

/** Answers bytes that are no HTTP request, in the shape of every error, and hangs up. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const body = JSON.stringify(problemOf(new Refusal('invalid_request')))
  const head = `HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: close`
  socket.end(`${head}\r\n\r\n${body}`)
}
