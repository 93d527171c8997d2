import { setTimeout as wait } from 'node:timers/promises'
import type { LanguageModel, ModelFinish } from '../models/models.ts'
import type { Item, StopReason } from '../protocol/protocol.ts'
import type { RuntimeEvent } from './runtime.ts'

const outputTokens = 20
const longestCall = 30_000
/** How long a run that is over waits for its title. */
const longestWait = 5000
/** Of each text: what a conversation is about stands at its beginning. */
const longestText = 2000
const visibleCharacters = 50

const instruction = `You name conversations. Answer with the title alone: one line, at most ${visibleCharacters} characters, no quotation marks, in the language of the messages.`

type Turns = AsyncGenerator<RuntimeEvent, StopReason, void>

/** What is named, and by whom. */
export interface Naming {
  /** Asked one after another until one has a name. */
  readonly models: readonly LanguageModel[]
  readonly items: readonly Item[]
  /** Is told what a call took. */
  count(model: LanguageModel, finish: ModelFinish): void
}

/** What came of it: the calls that were answered, and perhaps a name. */
interface Named {
  readonly title?: string | undefined
  readonly calls: readonly { readonly model: LanguageModel; readonly finish: ModelFinish }[]
}

/**
 * Carries out a run and names its session meanwhile: the title is told as soon as it is there, and a run that ended by
 * itself waits for it a little. Whatever goes wrong with a title goes wrong silently; the next run tries again.
 */
export async function* withTitle(start: (signal: AbortSignal) => Turns, naming: Naming, signal: AbortSignal): Turns {
  const stop = new AbortController()
  const stopped = AbortSignal.any([signal, stop.signal])
  const turns = start(stopped)
  const named = makeTitle(naming, stopped).then((named) => ({ named }))
  let step = turns.next()
  try {
    for (let told = false; ; ) {
      const news = told ? await step : await Promise.race([step, named])
      if ('named' in news) {
        told = true
        yield* tell(news.named, naming)
      } else if (!news.done) {
        yield news.value
        step = turns.next()
      } else {
        if (!told && news.value === 'normal') yield* late(named, naming, stopped)
        return news.value
      }
    }
  } finally {
    stop.abort()
    await Promise.allSettled([named, step])
    await turns.return('canceled')
  }
}

async function* late(
  named: Promise<{ readonly named: Named }>,
  naming: Naming,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent, void, void> {
  const news = await Promise.race([named, wait(longestWait, undefined, { signal }).catch(() => undefined)])
  if (news !== undefined) yield* tell(news.named, naming)
}

function* tell({ title, calls }: Named, { count }: Naming): Generator<RuntimeEvent, void, void> {
  for (const { model, finish } of calls) {
    count(model, finish)
    yield { type: 'usage_spent', usage: finish.usage, cost: finish.cost }
  }
  if (title) yield { type: 'session_title', title }
}

/** Never rejects. */
async function makeTitle({ models, items }: Naming, signal: AbortSignal): Promise<Named> {
  const calls: { model: LanguageModel; finish: ModelFinish }[] = []
  const texts = items.map(userText).filter(Boolean)
  if (texts.length === 0) return { calls }
  const content = texts.map((text, index) => `${index + 1}. ${text.slice(0, longestText)}`).join('\n')
  const limited = AbortSignal.any([signal, AbortSignal.timeout(longestCall)])
  for (const model of models) {
    const { title, finish } = await titleOf(model, content, limited)
    if (finish !== undefined) calls.push({ model, finish })
    if (title !== undefined || limited.aborted) return { title, calls }
  }
  return { calls }
}

async function titleOf(
  model: LanguageModel,
  content: string,
  signal: AbortSignal,
): Promise<{ readonly title?: string | undefined; readonly finish?: ModelFinish | undefined }> {
  const messages = [
    { role: 'system' as const, content: instruction },
    { role: 'user' as const, content },
  ]
  let answer = ''
  let finish: ModelFinish | undefined
  try {
    const request = { purpose: 'title', messages, tools: [], maxOutputTokens: outputTokens, thinking: 'off' } as const
    for await (const part of model.stream(request, signal)) {
      if (part.type === 'text') answer += part.text
      if (part.type === 'finish') finish = part
    }
  } catch {
    return {}
  }
  return { title: titleIn(answer), finish }
}

function userText({ message }: Item): string {
  if (message?.message.role !== 'user') return ''
  const { content, multi_content: parts = [] } = message.message
  return (content || parts.map(({ text }) => text ?? '').join(' ')).trim()
}

/** The first line that says something, cut to what fits into a list of sessions. */
export function titleIn(answer: string): string | undefined {
  const line = answer
    .split('\n')
    .map((line) => line.trim())
    .find(Boolean)
  if (line === undefined) return undefined
  const characters = Array.from(new Intl.Segmenter().segment(line), ({ segment }) => segment)
  return characters.slice(0, visibleCharacters).join('').trim()
}
