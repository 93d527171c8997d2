import { type LanguageModel, ModelFailure, type ModelFinish } from '../models/models.ts'
import type { ChatMessage, Item } from '../protocol/protocol.ts'
import { spend } from './accounting.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { boundedItems, promptLimits, shortened } from './prompt-limits.ts'
import type { RuntimeEvent } from './runtime.ts'
import { sentHistory, sentMessages } from './sent-history.ts'
import { charactersIn, estimatedTokens, usedTokens } from './token-estimate.ts'

const usualWindow = 128_000
/** Of the window: how much is kept as it is, and how long a summary may be; never more than so many tokens. */
const kept = { part: 5, most: 20_000 } as const
const longest = { part: 4, most: 16_000 } as const

const instruction = `You compress conversations. Another assistant will go on with the work and sees nothing of what was said but your summary.

Write down what it needs: what the user wants and in which words, decisions and their reasons, what was done and found out, names of files, commands, identifiers and figures exactly as they are, what failed, and what is to be done next. Leave out greetings and repetition. Answer with the summary alone.`

/** What the summary has to heed. */
export interface CompactionWish {
  /** What a person wants to be kept in mind. */
  readonly prompt?: string | undefined
  /** A model has said that it cannot read so much: its window is not larger than that, whatever is known about it. */
  readonly isTooLong?: boolean | undefined
}

type Compacting = Pick<AgentAtWork, 'agent' | 'chain' | 'compaction' | 'context' | 'shared' | 'signal'>

/**
 * Replaces the older part of the history by a summary, and tells how that went. What was said stays in the session. A model
 * that fails, refuses or says nothing changes nothing. Returns whether there is a new summary.
 */
export async function* compact(
  work: Compacting,
  { prompt, isTooLong = false }: CompactionWish = {},
): AsyncGenerator<RuntimeEvent, boolean, void> {
  const { agent, chain, compaction, context, signal } = work
  const agent_name = agent.Name
  const end = (outcome: Outcome) => ({ type: 'session_compaction', agent_name, status: 'completed', outcome }) as const
  yield { type: 'session_compaction', agent_name, status: 'started' }
  // Results are as long as the model reads them, but old ones are not forgotten before they are summarised.
  const limits = { ...promptLimits(agent, context.settings()), oldToolCalls: undefined }
  const part = olderPart(boundedItems(context.history, limits), compaction.window, isTooLong)
  let made: Made
  try {
    made = await summarise(compaction.model, part, prompt, signal)
  } catch (error) {
    yield end(signal.aborted ? 'skipped' : 'failed')
    throw error
  }
  const { outcome, finish } = made
  if (finish !== undefined) spend(work, compaction.model, finish)
  if (outcome === 'applied') {
    const { cost, usage } = made.finish
    const { ref: model } = compaction.model
    yield { type: 'session_summary', agent_name, summary: made.text, cost, model, usage, first_kept_entry: part.end }
    const now = { input_tokens: usage.output_tokens, output_tokens: 0, context_length: usage.output_tokens }
    const context_limit = chain.current.contextLimit ?? 0
    yield { type: 'token_usage', agent_name, usage: { ...now, context_limit, cost: context.cost } }
  } else if (finish !== undefined) {
    yield { type: 'usage_spent', usage: finish.usage, cost: finish.cost }
  }
  yield end(outcome)
  return outcome === 'applied'
}

type Outcome = 'applied' | 'skipped' | 'failed'

/** The part of a history that a summary is to stand for. */
interface OlderPart {
  readonly earlier: string | undefined
  readonly messages: readonly ChatMessage[]
  /** Place of the first item after it. */
  readonly end: number
  /** Tokens that a summary may have. */
  readonly most: number
  /** What a summariser can read of whose window nothing is known. */
  readonly room: number
}

function olderPart(items: readonly Item[], known: number | undefined, isTooLong: boolean): OlderPart {
  const { summary: earlier, start } = sentHistory(items)
  const largest = isTooLong ? Math.max(usedTokens(items), estimatedTokens(sentMessages(items.slice(start)))) : Infinity
  const window = Math.min(known ?? usualWindow, largest)
  const end = firstKept(items, start, Math.min(kept.most, window / kept.part))
  const messages = sentMessages(items.slice(start, end))
  const most = Math.floor(Math.min(longest.most, window / longest.part))
  return { earlier, messages, end, most, room: Math.min(usualWindow, largest) }
}

/** Where the part begins that is kept word for word: at a message of a user or an answer, never between a call and its result. */
function firstKept(items: readonly Item[], start: number, budget: number): number {
  let left = budget
  let first = items.length
  for (let place = items.length - 1; place >= start; place--) {
    const [message] = sentMessages(items.slice(place, place + 1))
    if (message === undefined) continue
    left -= estimatedTokens([message])
    if (left < 0) break
    if (message.role !== 'tool') first = place
  }
  return first
}

type Made =
  | { readonly outcome: 'applied'; readonly text: string; readonly finish: ModelFinish }
  | { readonly outcome: 'skipped' | 'failed'; readonly finish?: ModelFinish | undefined }

async function summarise(
  model: LanguageModel,
  { earlier, messages: said, most: maxOutputTokens, room }: OlderPart,
  prompt: string | undefined,
  signal: AbortSignal,
): Promise<Made> {
  const system = prompt ? `${instruction}\n\nKeep in mind: ${prompt}` : instruction
  const rest = (model.contextLimit ?? room) - maxOutputTokens - estimatedTokens([{ role: 'system', content: system }])
  const content = said.length === 0 ? '' : fitting(earlier, said.map(told), rest)
  if (content === '' || maxOutputTokens < 1) return { outcome: 'skipped' }
  const messages: readonly ChatMessage[] = [
    { role: 'system', content: system },
    { role: 'user', content },
  ]
  let text = ''
  let finish: ModelFinish | undefined
  try {
    const request = { purpose: 'compaction', messages, tools: [], maxOutputTokens, thinking: 'off' } as const
    for await (const part of model.stream(request, signal)) {
      if (part.type === 'text') text += part.text
      if (part.type === 'finish') finish = part
    }
  } catch (failure) {
    signal.throwIfAborted()
    if (failure instanceof ModelFailure) return { outcome: 'failed' }
    throw failure
  }
  if (finish?.finish_reason === 'refusal') return { outcome: 'failed', finish }
  if (finish === undefined || text.trim() === '') return { outcome: 'skipped', finish }
  return { outcome: 'applied', text: text.trim(), finish }
}

/** The summary of what was before, and as much as fits of what came after it, from the end. */
function fitting(earlier: string | undefined, texts: readonly string[], budget: number): string {
  const before = earlier === undefined ? [] : [within(`Summary of what was said before:\n${earlier}`, budget / 2)]
  let left = budget - tokens(before.join())
  const after: string[] = []
  for (const text of texts.toReversed()) {
    const fits = tokens(text) <= left
    // What is too long by itself is better cut than left out.
    if (fits || after.length === 0) after.unshift(within(text, left))
    if (!fits) break
    left -= tokens(text)
  }
  return [...before, ...after].filter(Boolean).join('\n\n')
}

function within(text: string, budget: number): string {
  return tokens(text) <= budget ? text : shortened(text, charactersIn(budget))
}

function tokens(content: string): number {
  return estimatedTokens([{ role: 'user', content }])
}

/** A message as a line of a play. */
function told({ role, content, tool_calls = [], multi_content = [] }: ChatMessage): string {
  const calls = tool_calls.map(({ function: f }) => `[calls ${f.name ?? ''} ${f.arguments ?? ''}]`)
  // `content` repeats what the text parts say.
  const parts = multi_content.map(({ type, text = '' }) => (type !== 'text' ? `[${type}]` : content === '' ? text : ''))
  return `${speakers[role]}: ${[content, ...calls, ...parts].filter(Boolean).join('\n')}`
}

const speakers = { system: 'System', user: 'User', assistant: 'Assistant', tool: 'Result' } as const
