import { deserializeMessage, type JSONRPCMessage } from '@modelcontextprotocol/client'

/** The longest message that is read, in bytes. A result of 10 MB must get through, to be cut later. */
export const messageLimit = 32 * 1024 * 1024

/** How much that is no message a server may write before it is given up, in bytes. Some greet or log on stdout. */
const strayLimit = 1024 * 1024

/** A server says too much, or nothing that makes sense. */
export class Flood extends Error {}

const newline = 10
const brace = 123
const blanks = [9, 13, 32]

/** Cuts a stream of bytes into the messages on its lines. Lines that are no messages are passed over, up to a limit. */
export class MessageLines {
  #parts: Buffer[] = []
  #size = 0
  #stray = 0
  #line: 'begins' | 'message' | 'stray' = 'begins';

  /** Throws {@link Flood}. */
  *push(chunk: Buffer): Generator<JSONRPCMessage> {
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      this.#take(chunk.subarray(from, end))
      const message = this.#end()
      if (message) yield message
      from = end + 1
    }
    this.#take(chunk.subarray(from))
  }

  #take(part: Buffer): void {
    if (this.#line === 'begins') {
      const first = part.find((byte) => !blanks.includes(byte))
      if (first !== undefined) this.#line = first === brace ? 'message' : 'stray'
    }
    if (this.#line === 'stray') this.#passOver(part.length)
    if (this.#line !== 'message') return
    this.#parts.push(part)
    this.#size += part.length
    if (this.#size > messageLimit) throw new Flood('sent a message that is too long')
  }

  #end(): JSONRPCMessage | undefined {
    const text = this.#line === 'message' ? Buffer.concat(this.#parts).toString('utf8') : undefined
    const size = this.#size
    this.#parts = []
    this.#size = 0
    this.#line = 'begins'
    if (text === undefined) return undefined
    const message = parse(text)
    if (message) this.#stray = 0
    else this.#passOver(size)
    return message
  }

  #passOver(size: number): void {
    this.#stray += size
    if (this.#stray > strayLimit) throw new Flood('writes something else than messages')
  }
}

function parse(text: string): JSONRPCMessage | undefined {
  try {
    return deserializeMessage(text)
  } catch {
    return undefined
  }
}
