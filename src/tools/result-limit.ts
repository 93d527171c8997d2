import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Tool, ToolCallResult } from '../protocol/protocol.ts'
import type { CallContext, RequestHeaders, Toolset } from './tools.ts'

const maxLines = 2000
const maxBytes = 50 * 1024
/** Of an excerpt, in characters and lines; the same for its end. */
const endChars = 10_000
const endLines = 500
/** Images, sound and documents of one result, in characters of their base64. */
const maxMedia = 20 * 1024 * 1024
const maxStructured = 256 * 1024

/**
 * A toolset whose results are bounded: of a text with more than 2,000 lines or 50 KiB the model gets both ends and the
 * name of a file that holds all of it, until the toolset is closed.
 */
export class LimitedToolset implements Toolset {
  readonly #inner: Toolset
  readonly #writing = new Set<Promise<unknown>>()
  #folder: Promise<string> | undefined
  #files = 0
  #closed = true

  constructor(inner: Toolset) {
    this.#inner = inner
  }

  get instruction(): string | undefined {
    return this.#inner.instruction
  }

  get tools(): readonly Tool[] {
    return this.#inner.tools
  }

  async start(signal: AbortSignal, headers?: RequestHeaders): Promise<void> {
    await this.#inner.start(signal, headers)
    this.#closed = false
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    const result = withoutFlood(await this.#inner.call(name, args, context))
    const { output } = result
    const lines = linesIn(output)
    const bytes = Buffer.byteLength(output)
    if (lines <= maxLines && bytes <= maxBytes) return result
    // A call that is ended by the close is told after it: nobody would remove its file.
    const path = this.#closed ? undefined : await this.#keep(output)
    const rest = path === undefined ? '' : `, all of it is in ${path}`
    const note = `[${lines} lines, ${bytes} bytes: the middle is left out here${rest}]`
    return { ...result, output: `${headOf(output)}\n\n${note}\n\n${tailOf(output)}` }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#inner.close()
    await Promise.allSettled(this.#writing)
    const folder = this.#folder
    this.#folder = undefined
    if (folder !== undefined) await rm(await folder, { recursive: true, force: true })
  }

  async #keep(output: string): Promise<string> {
    const writing = this.#write(output)
    this.#writing.add(writing)
    try {
      return await writing
    } finally {
      this.#writing.delete(writing)
    }
  }

  async #write(output: string): Promise<string> {
    this.#folder ??= mkdtemp(join(tmpdir(), 'quarterdeck-result-'))
    const path = join(await this.#folder, `${++this.#files}.txt`)
    await writeFile(path, output, { mode: 0o600 })
    return path
  }
}

function withoutFlood(result: ToolCallResult): ToolCallResult {
  const { images = [], audios = [], documents = [], structuredContent, ...rest } = result
  const media = [...images, ...audios, ...documents].reduce((size, item) => {
    return size + (item.data?.length ?? 0) + ('text' in item ? (item.text?.length ?? 0) : 0)
  }, 0)
  const structured = structuredContent === undefined ? 0 : (JSON.stringify(structuredContent)?.length ?? 0)
  if (media <= maxMedia && structured <= maxStructured) return result
  const kept = media <= maxMedia ? { images, audios, documents } : {}
  const note = media <= maxMedia ? '' : '\n[Images, sound and documents are left out: they are too large.]'
  return {
    ...rest,
    ...kept,
    ...(structured <= maxStructured && structuredContent !== undefined && { structuredContent }),
    output: `${rest.output}${note}`,
  }
}

function linesIn(text: string): number {
  let lines = 1
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines++
  return lines
}

function headOf(text: string): string {
  const head = text.slice(0, endChars).split('\n').slice(0, endLines)
  return head.join('\n').toWellFormed()
}

function tailOf(text: string): string {
  const tail = text.slice(-endChars).split('\n').slice(-endLines)
  return tail.join('\n').toWellFormed()
}
