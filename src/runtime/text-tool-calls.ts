import { z } from 'zod'
import type { ModelFinish, ModelPart } from '../models/models.ts'
import type { ToolCall } from '../protocol/protocol.ts'

const opening = '<tool_call>'
const closing = '</tool_call>'

type Written = { readonly name: string; readonly arguments: string }

/**
 * Finds the calls in an answer of a model that writes them into its text, as `<tool_call>{"name":…,"arguments":{…}}</tool_call>`.
 * They are taken out of the text and told as calls, unless the answer has calls of the proper kind or was refused. Only
 * what may be such a block is held back, and what turns out to be none is text after all; a block that the answer's limit
 * cut is dropped. `newId` makes the id of a call.
 */
export async function* textToolCalls<Other extends { readonly type: 'answering' }>(
  parts: AsyncIterable<ModelPart | Other>,
  newId: () => string,
): AsyncGenerator<ModelPart | Other, void, undefined> {
  let reader: BlockReader | undefined = new BlockReader()
  for await (const part of parts) {
    if (!reader) yield part
    else if (part.type === 'text') {
      const text = reader.read(part.text)
      if (text !== '') yield text === part.text ? part : { type: 'text', text }
    } else if (part.type === 'tool_call') {
      yield* texts(reader.rest())
      reader = undefined
      yield part
    } else if (part.type === 'finish') yield* finished(part, reader.rest(), newId)
    else yield part
  }
}

function* finished(finish: ModelFinish, rest: string, newId: () => string): Generator<ModelPart, void, undefined> {
  const isOpen = finish.tool_calls.length === 0 && finish.finish_reason !== 'refusal'
  const { text, calls } = isOpen ? split(rest, finish.finish_reason === 'length') : { text: rest, calls: [] }
  yield* texts(text)
  const tool_calls = calls.map((call): ToolCall => ({ id: newId(), type: 'function', function: call }))
  for (const { id = '', function: call } of tool_calls)
    yield { type: 'tool_call', id, name: call.name ?? '', arguments: call.arguments ?? '' }
  yield tool_calls.length > 0 ? withCalls(finish, tool_calls) : finish
}

/** What the provider wants back describes an answer with the blocks in its text, so it goes. */
function withCalls({ provider_metadata: _, ...finish }: ModelFinish, tool_calls: readonly ToolCall[]): ModelFinish {
  const { finish_reason } = finish
  return { ...finish, finish_reason: finish_reason === 'length' ? 'length' : 'tool_calls', tool_calls }
}

function* texts(text: string): Generator<ModelPart, void, undefined> {
  if (text !== '') yield { type: 'text', text }
}

/** Lets text through as far as it can be no block. From the first block on it keeps everything. */
class BlockReader {
  #held = ''
  /** While a block is open, what came since: looked at again only when its end is there. */
  #since: string[] = []
  #end = ''
  #isOpen = false
  #isFound = false

  /** What can be shown now. */
  read(text: string): string {
    if (this.#isFound || (this.#isOpen && !this.#closes(text))) {
      this.#since.push(text)
      return ''
    }
    this.#held = this.rest() + text
    const { certain, state } = judge(this.#held)
    const shown = this.#held.slice(0, certain)
    this.#held = this.#held.slice(certain)
    this.#isOpen = state === 'open'
    this.#isFound = state === 'found'
    this.#end = this.#held.slice(1 - closing.length)
    return shown
  }

  /** Everything that was held back. */
  rest(): string {
    const rest = this.#held + this.#since.join('')
    this.#held = ''
    this.#since = []
    return rest
  }

  #closes(text: string): boolean {
    const end = this.#end + text
    this.#end = end.slice(1 - closing.length)
    return end.includes(closing)
  }
}

/** How much of the beginning of a text is certainly text, whatever follows; and what stands behind it. */
function judge(text: string): { readonly certain: number; readonly state: 'text' | 'open' | 'found' } {
  for (let from = 0; ; ) {
    const at = text.indexOf(opening, from)
    if (at < 0) return { certain: text.length - begun(text), state: 'text' }
    const { inside, isClosed } = blockAt(text, at)
    if (!isClosed && mayBeCall(inside)) return { certain: at, state: inside.trim() === '' ? 'text' : 'open' }
    if (isClosed && callIn(inside)) return { certain: at, state: 'found' }
    from = at + 1
  }
}

/** The calls in a text that is whole, or `cut` by its limit, and the text without them. */
function split(text: string, cut: boolean): { readonly text: string; readonly calls: readonly Written[] } {
  const calls: Written[] = []
  let kept = ''
  for (let from = 0; ; ) {
    const at = text.indexOf(opening, from)
    kept += text.slice(from, at < 0 ? text.length : at)
    if (at < 0) break
    const { inside, isClosed } = blockAt(text, at)
    const call = callIn(inside)
    if (call) calls.push(call)
    else if (isClosed || !cut || !mayBeCall(inside)) {
      kept += text.charAt(at)
      from = at + 1
      continue
    }
    if (!isClosed) break
    from = at + opening.length + inside.length + closing.length
  }
  // Between blocks and behind them models write line breaks that nobody needs.
  return { text: calls.length > 0 && kept.trim() === '' ? '' : kept, calls }
}

function blockAt(text: string, at: number): { readonly inside: string; readonly isClosed: boolean } {
  const start = at + opening.length
  const end = text.indexOf(closing, start)
  return { inside: text.slice(start, end < 0 ? text.length : end), isClosed: end >= 0 }
}

function mayBeCall(inside: string): boolean {
  return /^\s*(\{|$)/.test(inside)
}

/** How many characters at the end of a text may be the beginning of a tag. */
function begun(text: string): number {
  for (let length = Math.min(opening.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(opening.slice(0, length))) return length
  }
  return 0
}

const Block = z.looseObject({
  name: z.string().min(1),
  arguments: z.union([z.record(z.string(), z.json()), z.string()]).nullish(),
})

function callIn(inside: string): Written | undefined {
  const parsed = Block.safeParse(json(inside))
  if (!parsed.success) return undefined
  const { name, arguments: args } = parsed.data
  return { name, arguments: typeof args === 'string' ? args : JSON.stringify(args ?? {}) }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
