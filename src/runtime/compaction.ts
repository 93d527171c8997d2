import { type LanguageModel, ModelFailure, type ModelFinish } from '../models/models.ts'
import type { ChatMessage, Item, Summary } from '../protocol/protocol.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import type { RuntimeEvent } from './runtime.ts'
import { estimatedTokens } from './token-estimate.ts'

const usualWindow = 128_000
/** Of the window: how much is kept as it is, and how long a summary may be; never more than so many tokens. */
const kept = { part: 5, most: 20_000 } as const
const summary = { part: 4, most: 16_000 } as const

const instruction = `You compress conversations. Another assistant will go on with the work and sees nothing of what was said but your summary.

Write down what it needs: what the user wants and in which words, decisions and their reasons, what was done and found out, names of files, commands, identifiers and figures exactly as they are, what failed, and what is to be done next. Leave out greetings and repetition. Answer with the summary alone.`

/**
 * Replaces the older part of the history by a summary, and tells how that went. What was said stays in the session. A model
 * that fails or says nothing changes nothing. Returns whether there is a summary now.
 */
export async function* compact(
  { agent, context, compaction: { model }, signal }: Pick<AgentAtWork, 'agent' | 'context' | 'compaction' | 'signal'>,
  prompt?: string,
): AsyncGenerator<RuntimeEvent, boolean, void> {
  const agent_name = agent.Name
  yield { type: 'session_compaction', agent_name, status: 'started' }
  const items = context.history
  const window = model.contextLimit ?? usualWindow
  const first_kept_entry = firstKept(items, Math.min(kept.most, window / kept.part))
  const made = await summarise(model, conversation(items, first_kept_entry), { window, prompt, signal })
  if (made.outcome === 'applied') {
    yield { type: 'session_summary', agent_name, ...made.summary, first_kept_entry }
    const { cost = 0, usage } = made.summary
    const tokens = usage?.output_tokens ?? 0
    const input = { input_tokens: tokens, output_tokens: 0, context_length: tokens }
    const usageNow = { ...input, context_limit: model.contextLimit ?? 0, cost: costOf(items) + cost }
    yield { type: 'token_usage', agent_name, usage: usageNow }
  }
  yield { type: 'session_compaction', agent_name, status: 'completed', outcome: made.outcome }
  return made.outcome === 'applied'
}

/** Where the part begins that is kept word for word: at a message of a user or an answer, never between a call and its result. */
function firstKept(items: readonly Item[], budget: number): number {
  let left = budget
  let first = items.length
  for (let place = items.length - 1; place >= 0; place--) {
    const message = items[place]?.message?.message
    if (items[place]?.summary !== undefined) break
    if (message === undefined) continue
    left -= estimatedTokens([message])
    if (left < 0) break
    if (message.role === 'user' || message.role === 'assistant') first = place
  }
  return first
}

/** What the summary is to stand for: the last summary, and what came after it. */
function conversation(items: readonly Item[], end: number): readonly string[] {
  const before = items.findLastIndex((item) => item.summary !== undefined)
  const last = items[before]
  const start = last?.first_kept_entry ?? before + 1
  const spoken = items
    .slice(start, end)
    .flatMap(({ message }) => (message === undefined ? [] : [said(message.message)]))
  const earlier = last?.summary === undefined ? [] : [`Summary of what was said before:\n${last.summary}`]
  return [...earlier, ...spoken]
}

function said({ role, content, tool_calls = [], multi_content = [] }: ChatMessage): string {
  const calls = tool_calls.map(({ function: f }) => `[calls ${f.name ?? ''} ${f.arguments ?? ''}]`)
  const others = multi_content.filter(({ type }) => type !== 'text').map(({ type }) => `[${type}]`)
  return `${speakers[role]}: ${[content, ...calls, ...others].filter(Boolean).join('\n')}`
}

const speakers = { system: 'System', user: 'User', assistant: 'Assistant', tool: 'Result' } as const

interface Limits {
  readonly window: number
  readonly prompt: string | undefined
  readonly signal: AbortSignal
}

type Made =
  | { readonly outcome: 'applied'; readonly summary: Omit<Summary, 'first_kept_entry'> }
  | { readonly outcome: 'skipped' | 'failed' }

async function summarise(model: LanguageModel, texts: readonly string[], limits: Limits): Promise<Made> {
  if (texts.length === 0) return { outcome: 'skipped' }
  const { window, prompt, signal } = limits
  const maxOutputTokens = Math.floor(Math.min(summary.most, window / summary.part))
  const wishes = prompt === undefined || prompt === '' ? [] : [`Keep in mind: ${prompt}`]
  const system = [instruction, ...wishes].join('\n\n')
  const content = newest(texts, window - maxOutputTokens - estimatedTokens([{ role: 'system', content: system }]))
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
  if (text.trim() === '' || finish === undefined) return { outcome: 'skipped' }
  const { cost, usage } = finish
  return { outcome: 'applied', summary: { summary: text.trim(), cost, model: model.ref, usage } }
}

/** As much as fits, from the end. */
function newest(texts: readonly string[], budget: number): string {
  let left = budget
  const first = texts.findLastIndex((content) => {
    left -= estimatedTokens([{ role: 'user', content }])
    return left < 0
  })
  return texts.slice(first + 1).join('\n\n')
}

function costOf(items: readonly Item[]): number {
  return items.reduce((sum, { message, cost }) => sum + (message?.message.cost ?? 0) + (cost ?? 0), 0)
}
