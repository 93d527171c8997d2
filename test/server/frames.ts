import { z } from 'zod'

/** One block of a stream: a comment, a `retry`, or an event with or without an id. */
export interface Block {
  readonly text: string
  readonly id: number | undefined
  readonly event: { readonly type: string; readonly [key: string]: unknown } | undefined
}

const TestEvent = z.looseObject({ type: z.string() })

/** Reads a stream block by block, as it comes. */
export async function* blocksOf(response: Response): AsyncGenerator<Block, void, void> {
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk, { stream: true })
    const blocks = rest.split('\n\n')
    rest = blocks.pop() ?? ''
    for (const text of blocks) yield parseBlock(text)
  }
  if (rest !== '') throw new Error(`the stream ended inside a frame: ${rest.slice(0, 80)}`)
}

/** The events of a stream, in order, without comments. */
export async function* eventsOf(response: Response): AsyncGenerator<Required<Block>, void, void> {
  for await (const block of blocksOf(response)) if (block.event !== undefined) yield block
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(items)
}

/** Reads on until an event matches, and leaves the stream where it is. */
export async function until(blocks: AsyncGenerator<Block>, matches: (block: Block) => boolean): Promise<Block> {
  for (;;) {
    const step = await blocks.next()
    if (step.done === true) throw new Error('the stream ended before that')
    if (matches(step.value)) return step.value
  }
}

export const isOfType =
  (type: string) =>
  ({ event }: Block): boolean =>
    event?.type === type

function parseBlock(text: string): Block {
  const id = /^id: (\d+)$/m.exec(text)?.[1]
  const data = /^data: (.*)$/m.exec(text)?.[1]
  return {
    text,
    id: id === undefined ? undefined : Number(id),
    event: data === undefined ? undefined : TestEvent.parse(JSON.parse(data)),
  }
}
