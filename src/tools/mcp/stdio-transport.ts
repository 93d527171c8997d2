import {
  isJSONRPCErrorResponse,
  isJSONRPCNotification,
  isJSONRPCRequest,
  isJSONRPCResultResponse,
  type JSONRPCMessage,
  type RequestId,
  serializeMessage,
  type Transport,
} from '@modelcontextprotocol/client'
import { z } from 'zod'
import type { Loss } from './loss.ts'
import { Flood, MessageLines } from './message-lines.ts'
import { callScope, type OpenCall } from './open-call.ts'
import { type Command, type Ending, ServerProcess } from './server-process.ts'

const Cancelled = z.object({ requestId: z.union([z.string(), z.number()]) })

/** Speaks with a child process over its stdin and stdout. */
export class StdioTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: Transport['onmessage']
  readonly #command: Command
  readonly #onLost: (loss: Loss) => void
  readonly #lines = new MessageLines()
  /** Requests on their way, with the call they were made for: an answer may hold a question to a person. */
  readonly #scopes = new Map<RequestId, OpenCall | undefined>()
  #process: ServerProcess | undefined
  #closed = false

  constructor(command: Command, onLost: (loss: Loss) => void) {
    this.#command = command
    this.#onLost = onLost
  }

  /** With {@link stderr} it tells the library that this is a process, where silence and an early end are no outage. */
  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** The end of what the process said about itself. */
  get stderr(): string {
    return this.#process?.stderr ?? ''
  }

  async start(): Promise<void> {
    const server = new ServerProcess(this.#command)
    this.#process = server
    server.stdout.on('data', (chunk: Buffer) => this.#read(chunk))
    server.ended.then((ending) => this.#end({ reason: describe(ending), clean: ending.code === 0 }))
    await server.started
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (isJSONRPCRequest(message)) this.#scopes.set(message.id, callScope.getStore())
    if (isJSONRPCNotification(message) && message.method === 'notifications/cancelled') {
      const cancelled = Cancelled.safeParse(message.params)
      if (cancelled.success) this.#scopes.delete(cancelled.data.requestId)
    }
    if (!this.#process || this.#closed) throw new Error('the server is not running')
    await this.#process.write(serializeMessage(message))
  }

  /** Settles when the process and all that it started are gone. */
  async close(): Promise<void> {
    const first = !this.#closed
    this.#closed = true
    await this.#process?.stop()
    if (first) this.onclose?.()
  }

  #read(chunk: Buffer): void {
    if (this.#closed) return
    try {
      for (const message of this.#lines.push(chunk)) this.#deliver(message)
    } catch (error) {
      if (!(error instanceof Flood)) throw error
      this.#end({ reason: error.message, clean: false })
    }
  }

  #deliver(message: JSONRPCMessage): void {
    const id = isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message) ? message.id : undefined
    const call = id === undefined ? undefined : this.#scopes.get(id)
    if (id !== undefined) this.#scopes.delete(id)
    callScope.run(call, () => this.onmessage?.(message))
  }

  /** The process is gone, or as good as gone. */
  #end(loss: Loss): void {
    if (this.#closed) return
    this.#closed = true
    this.#onLost(loss)
    this.onclose?.()
  }
}

function describe({ code, signal }: Ending): string {
  return signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`
}
