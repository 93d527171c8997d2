import {
  type FetchLike,
  INTERNAL_ERROR,
  isJSONRPCRequest,
  type JSONRPCMessage,
  SSEClientTransport,
  SseError,
  StreamableHTTPClientTransport,
  type TransportSendOptions,
} from '@modelcontextprotocol/client'
import type { Loss } from './loss.ts'
import { callScope } from './open-call.ts'

/** How long the server may take to hear that its session is over. */
const goodbyeMs = 1000

/**
 * Streamable HTTP, where a request ends with its call, and one whose stream ended without an answer fails at once instead of
 * waiting for ever.
 */
export class StreamableTransport extends StreamableHTTPClientTransport {
  #closing: Promise<void> | undefined

  constructor(url: URL, fetch: FetchLike) {
    super(url, { fetch })
  }

  override async send(message: JSONRPCMessage | JSONRPCMessage[], options: TransportSendOptions = {}): Promise<void> {
    const signals = [options.requestSignal, isToolCall(message) ? callScope.getStore()?.signal : undefined]
    await super.send(message, {
      ...options,
      requestSignal: AbortSignal.any(signals.filter((signal) => signal !== undefined)),
      onRequestStreamEnd: options.onRequestStreamEnd ?? (() => this.#fail(message)),
    })
  }

  /** Ends the session on the server, too. */
  override close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const timer = setTimeout(() => super.close(), goodbyeMs)
    await this.terminateSession().catch(() => {})
    clearTimeout(timer)
    await super.close()
  }

  /** Whoever has the answer already does not hear this. */
  #fail(message: JSONRPCMessage | JSONRPCMessage[]): void {
    if (!isJSONRPCRequest(message)) return
    const error = { code: INTERNAL_ERROR, message: 'the connection ended before the answer came' }
    this.onmessage?.({ jsonrpc: '2.0', id: message.id, error })
  }
}

/** The old transport: one stream of events, whose end is the end of the session. */
export class SseTransport extends SSEClientTransport {
  #closed = false

  constructor(url: URL, fetch: FetchLike, onLost: (loss: Loss) => void) {
    super(url, { fetch })
    this.onerror = (error) => {
      if (!this.#closed && isStreamError(error)) onLost({ reason: 'closed the connection', clean: true })
    }
  }

  override async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await super.close()
  }
}

function isToolCall(message: JSONRPCMessage | JSONRPCMessage[]): boolean {
  return isJSONRPCRequest(message) && message.method === 'tools/call'
}

function isStreamError(error: Error): boolean {
  return error instanceof SseError
}
