import type { ServerResponse } from 'node:http'

/** A comment that every reader skips, padded so that proxies that buffer by the KiB pass it on. */
const ping = Buffer.from(`${': ping'.padEnd(1022)}\n\n`)

/** Keeps streams alive: one timer for all of them. */
export class Heartbeat {
  readonly #streams = new Set<ServerResponse>()
  readonly #timer: NodeJS.Timeout

  constructor(milliseconds: number) {
    this.#timer = setInterval(() => this.#beat(), milliseconds).unref()
  }

  add(stream: ServerResponse): void {
    this.#streams.add(stream)
  }

  delete(stream: ServerResponse): void {
    this.#streams.delete(stream)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** A stream that waits for its reader has something to send anyway. */
  #beat(): void {
    for (const stream of this.#streams) {
      if (!stream.destroyed && !stream.socket?.writableNeedDrain) stream.write(ping)
    }
  }
}
