import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { LogPage } from '../event-log/event-log.ts'
import { frame, Refusal } from '../protocol/protocol.ts'
import { Heartbeat } from './heartbeat.ts'

/** The answer of a handler that streams: the pages of a log, made with the call's signal. */
export class EventStreamBody {
  readonly pages: AsyncGenerator<LogPage, void, void>
  /** What to do when the client left before the pages ended. */
  readonly onLeft: (() => Promise<unknown>) | undefined

  constructor(pages: AsyncGenerator<LogPage, void, void>, onLeft?: () => Promise<unknown>) {
    this.pages = pages
    this.onLeft = onLeft
  }
}

export interface EventStreamsOptions {
  readonly heartbeatMs: number
  /** Age at which a stream is closed politely, between two frames. */
  readonly maxAgeMs: number | undefined
}

/** A comment of 2 KiB, for proxies and browsers that hold the first bytes back, and how soon to come again. */
const opening = Buffer.from(`${':'.padEnd(2046)}\n\nretry: 1000\n\n`)

/** All streams of a server. */
export class EventStreams {
  readonly #maxAgeMs: number | undefined
  readonly #heartbeat: Heartbeat
  readonly #open = new Set<EventStream>()
  #ended = false

  constructor({ heartbeatMs, maxAgeMs }: EventStreamsOptions) {
    this.#heartbeat = new Heartbeat(heartbeatMs)
    this.#maxAgeMs = maxAgeMs
  }

  /** A stream for a request that may yet be refused; nothing is written before {@link EventStream.send}. */
  open(reply: FastifyReply): EventStream {
    const stream = new EventStream(reply, this.#heartbeat, this.#maxAgeMs)
    this.#open.add(stream)
    reply.raw.once('close', () => this.#open.delete(stream))
    if (this.#ended) stream.hangUp()
    return stream
  }

  /** Ends every stream between two frames. */
  end(): void {
    this.#ended = true
    for (const stream of this.#open) stream.hangUp()
    this.#heartbeat.close()
  }
}

/** One answer that streams. */
export class EventStream {
  readonly #reply: FastifyReply
  readonly #raw: ServerResponse
  readonly #heartbeat: Heartbeat
  readonly #maxAgeMs: number | undefined
  readonly #stop = new AbortController()
  #endedBy: 'client' | 'server' | undefined
  #hangsUp = false

  constructor(reply: FastifyReply, heartbeat: Heartbeat, maxAgeMs: number | undefined) {
    this.#reply = reply
    this.#raw = reply.raw
    this.#heartbeat = heartbeat
    this.#maxAgeMs = maxAgeMs
    // The request's own `close` comes as soon as its body is read; only the response's tells that the client left.
    this.#raw.once('close', () => this.#end('client'))
    if (this.#raw.destroyed) this.#end('client')
  }

  /** Aborts when the client leaves or the server wants to end the stream. */
  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Ends the stream between two frames, and its connection with it. */
  hangUp(): void {
    this.#hangsUp = true
    this.#end('server')
  }

  /** Writes the headers and then every page, at the reader's pace. Resolves when the stream has ended. */
  async send({ pages, onLeft }: EventStreamBody): Promise<void> {
    const { socket } = this.#raw
    const age = this.#maxAgeMs === undefined ? undefined : setTimeout(() => this.#end('server'), this.#maxAgeMs)
    try {
      this.#reply.hijack()
      if (this.#endedBy !== 'client') this.#begin()
      await this.#write(pages)
    } finally {
      this.#end('server')
      clearTimeout(age)
      this.#heartbeat.delete(this.#raw)
      this.#raw.end()
      if (this.#hangsUp) socket?.end()
    }
    if (this.#endedBy === 'client') await onLeft?.().catch(ignoreRefusal)
  }

  #begin(): void {
    // Proxies that compress would hold frames back.
    this.#reply.header('cache-control', 'no-cache, no-transform').sse.sendHeaders(200)
    this.#raw.write(opening)
    this.#heartbeat.add(this.#raw)
  }

  async #write(pages: AsyncGenerator<LogPage, void, void>): Promise<void> {
    try {
      for await (const page of pages) {
        const data = page.kind === 'frames' ? page.data : Buffer.from(frame(undefined, JSON.stringify(page.gap)))
        if (!this.#put(data)) await this.#drained()
      }
    } catch (failure) {
      ignoreRefusal(failure)
    }
  }

  /** Past `http`, which hands a chunk to the system in three pieces; one is a sixth cheaper. False: wait for room. */
  #put(data: Buffer): boolean {
    const { socket, chunkedEncoding } = this.#raw
    return socket === null || !chunkedEncoding ? this.#raw.write(data) : socket.write(chunkOf(data))
  }

  /** Once the client has left, neither `drain` nor `close` comes again: the signal remembers. */
  #drained(): Promise<void> {
    const { signal } = this
    const way = this.#raw.socket ?? this.#raw
    return new Promise((resolve) => {
      const done = (): void => {
        way.off('drain', done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      way.on('drain', done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })
  }

  #end(by: 'client' | 'server'): void {
    this.#endedBy ??= by
    this.#stop.abort()
  }
}

const chunks = new WeakMap<Buffer, Buffer>()

/** The data as a chunk of HTTP/1.1, framed once for all readers that share it. */
function chunkOf(data: Buffer): Buffer {
  const known = chunks.get(data)
  if (known !== undefined) return known
  const chunk = Buffer.concat([Buffer.from(`${data.length.toString(16)}\r\n`), data, Buffer.from('\r\n')])
  chunks.set(data, chunk)
  return chunk
}

/** After the first byte there is nobody left to be told of a refusal: the stream only ends. */
function ignoreRefusal(failure: unknown): void {
  if (!(failure instanceof Refusal)) throw failure
}
