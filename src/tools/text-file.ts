import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { CallFailure } from './result.ts'

/** Whole lines of a text file. */
export interface Lines {
  readonly text: string
  /** The number of the first, from 1. */
  readonly first: number
  readonly last: number
  /** Where to read on; `undefined` at the end of the file. */
  readonly next: number | undefined
  /** Whether there is only the beginning of one line here, which is too long. */
  readonly cut: boolean
}

export interface Window {
  /** The first line, from 1. */
  readonly line: number
  readonly maxLines: number
  readonly maxBytes: number
}

/** The size of a file in bytes. Throws a `CallFailure` for what is no file: a pipe or a device may never end. */
export async function sizeOfFile(path: string): Promise<number> {
  const stats = await stat(path)
  if (stats.isDirectory()) throw new CallFailure(`${path} is a directory.`)
  if (!stats.isFile()) throw new CallFailure(`${path} is not a regular file.`)
  return stats.size
}

/** The first bytes of a file. */
export async function beginningOf(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Whether somebody could read it. */
export function isText(beginning: Uint8Array): boolean {
  return !beginning.includes(0)
}

/** Reads a window of a file of any size, and never more of it into memory. */
export async function readLines(path: string, window: Window, signal: AbortSignal): Promise<Lines> {
  const { line: first, maxLines, maxBytes } = window
  let line = 1
  let text = ''
  let current = ''
  let bytes = 0
  // A stream that is made with a signal that has come already opens the file and never closes it.
  signal.throwIfAborted()
  for await (const chunk of createReadStream(path, { encoding: 'utf8', signal }) as AsyncIterable<string>) {
    for (const piece of chunk.split(/(?<=\n)/)) {
      if (line >= first + maxLines) return { text, first, last: line - 1, next: line, cut: false }
      if (line >= first) {
        current += piece
        bytes += Buffer.byteLength(piece)
      }
      if (bytes > maxBytes) return full(text, current, first, line, maxBytes)
      if (!piece.endsWith('\n')) continue
      text += current
      current = ''
      line++
    }
  }
  return { text: text + current, first, last: current === '' ? line - 1 : line, next: undefined, cut: false }
}

function full(text: string, current: string, first: number, line: number, maxBytes: number): Lines {
  if (text !== '') return { text, first, last: line - 1, next: line, cut: false }
  // A character has at most three bytes for each of its halves.
  return { text: current.slice(0, maxBytes / 3).toWellFormed(), first, last: line, next: line + 1, cut: true }
}
