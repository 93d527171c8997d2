import { setTimeout as wait } from 'node:timers/promises'
import { type ChatMessage, type ErrorDetail, Refusal, type ToolCall, type Usage } from '../protocol/protocol.ts'
import { factsOf } from './catalogue.ts'
import type { LanguageModel, ModelFinish, ModelPart, ModelRequest } from './language-model.ts'
import type { ModelDefinition } from './model-definition.ts'
import { ModelFailure } from './model-failure.ts'
import { Script, type ScriptedStep, type ScriptedTurn } from './script.ts'
import { costOf } from './usage.ts'

const unscripted: ScriptedTurn = [{ text: 'This model has no script, so this is all it says.' }]

const summary = 'A scripted summary of the conversation so far.'

type Pace = { readonly chunk?: number | undefined; readonly every?: number | undefined }

/** What one call has said so far, for its usage. */
type Said = { characters: number; reasoning: number; readonly calls: ToolCall[] }

/**
 * A deterministic model that plays `provider_opts.script`: the turn is told by the number of answers in the history, and
 * starts over after the last. Titles and summaries are answered apart from the script. Refuses `invalid_model` for a
 * script that is wrong, with the path of each mistake.
 */
export function scriptedModel(definition: ModelDefinition): LanguageModel {
  const script = checked(definition)
  const { contextLimit, price } = factsOf(definition)
  return {
    ref: `${definition.provider}/${definition.model}`,
    provider: definition.provider,
    model: definition.model,
    contextLimit,
    price,
    stream: async function* (request, signal) {
      signal.throwIfAborted()
      const said: Said = { characters: 0, reasoning: 0, calls: [] }
      for (const step of turnOf(script, request)) yield* play(step, request, said, signal)
      const usage = usageOf(request, said)
      yield finish(said, usage, costOf(usage, price))
    },
  }
}

function checked(definition: ModelDefinition): Script {
  const parsed = Script.safeParse(definition.provider_opts?.script ?? [])
  if (parsed.success) return parsed.data
  const details = parsed.error.issues.map((issue): ErrorDetail => {
    return { path: ['provider_opts', 'script', ...issue.path].join('.'), message: issue.message }
  })
  throw new Refusal('invalid_model', `The script of the model ${definition.model} is wrong.`, { details })
}

function turnOf(script: Script, request: ModelRequest): ScriptedTurn {
  if (request.purpose === 'title') return [{ text: titleOf(lastUserMessage(request)) }]
  if (request.purpose === 'compaction') return [{ text: summary }]
  return script[answers(request) % script.length] ?? unscripted
}

function answers({ messages }: ModelRequest): number {
  return messages.filter((one) => one.role === 'assistant' && one.finish_reason !== 'interrupted').length
}

async function* play(
  step: ScriptedStep,
  request: ModelRequest,
  said: Said,
  signal: AbortSignal,
): AsyncGenerator<ModelPart, void, undefined> {
  if ('delay' in step) await pause(step.delay, signal)
  else if ('error' in step) throw failure(step.error)
  else if ('tool_call' in step) yield* playCall(step, request, said, signal)
  else if ('text' in step) {
    for await (const text of pieces(filled(step.text, request), step, signal)) {
      said.characters += text.length
      yield { type: 'text', text }
    }
  } else {
    for await (const text of pieces(filled(step.reasoning, request), step, signal)) {
      said.characters += text.length
      said.reasoning += text.length
      yield { type: 'reasoning', text }
    }
  }
}

/** The id counts the answers before this one, so it is the same on every replay and new in every turn. */
async function* playCall(
  step: Extract<ScriptedStep, { tool_call: unknown }>,
  request: ModelRequest,
  said: Said,
  signal: AbortSignal,
): AsyncGenerator<ModelPart, void, undefined> {
  const { name } = step.tool_call
  const id = `call_${answers(request) + 1}_${said.calls.length + 1}`
  const args = JSON.stringify(step.tool_call.arguments, (_, value: unknown) =>
    typeof value === 'string' ? filled(value, request) : value,
  )
  said.calls.push({ id, type: 'function', function: { name, arguments: args } })
  said.characters += args.length
  yield { type: 'tool_call', id, name, arguments: '' }
  for await (const piece of pieces(args, step, signal)) yield { type: 'tool_call', id, arguments: piece }
}

async function* pieces(text: string, { chunk, every = 0 }: Pace, signal: AbortSignal): AsyncGenerator<string> {
  for (const [place, piece] of cut(text, chunk).entries()) {
    if (place > 0) await pause(every, signal)
    signal.throwIfAborted()
    yield piece
  }
}

function cut(text: string, size: number | undefined): readonly string[] {
  if (size === undefined) return text.match(/\S+\s*|\s+/g) ?? []
  const characters = Array.from(text)
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, place) =>
    characters.slice(place * size, (place + 1) * size).join(''),
  )
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (ms === 0) return
  try {
    await wait(ms, undefined, { signal })
  } catch {
    signal.throwIfAborted()
  }
}

function failure({ code, message, ...more }: Extract<ScriptedStep, { error: unknown }>['error']): ModelFailure {
  return new ModelFailure(message ?? 'The script says that the model fails here.', {
    code,
    reason: 'scripted',
    retryable: more.retryable,
    retryAfterMs: more.retry_after,
  })
}

function finish(said: Said, usage: Usage, cost: number): ModelFinish {
  const finish_reason = said.calls.length > 0 ? 'tool_calls' : 'stop'
  return { type: 'finish', finish_reason, usage, cost, tool_calls: said.calls }
}

/** Four characters are a token. */
function usageOf({ messages }: ModelRequest, { characters, reasoning }: Said): Usage {
  const read = messages
    .filter((message) => message.finish_reason !== 'interrupted')
    .reduce((sum, message) => sum + textOf(message).length, 0)
  return {
    input_tokens: Math.ceil(read / 4),
    output_tokens: Math.ceil(characters / 4),
    cached_input_tokens: 0,
    cached_write_tokens: 0,
    ...(reasoning > 0 && { reasoning_tokens: Math.ceil(reasoning / 4) }),
  }
}

function filled(text: string, request: ModelRequest): string {
  return text.replaceAll('{{last_user_message}}', () => lastUserMessage(request))
}

function lastUserMessage({ messages }: ModelRequest): string {
  const message = messages.findLast((one) => one.role === 'user')
  return message ? textOf(message) : ''
}

function textOf(message: ChatMessage): string {
  if (message.content !== '') return message.content
  return (message.multi_content ?? []).map((part) => part.text ?? '').join('')
}

/** The first words of what was asked, at most 50 characters; of a numbered list, of its first entry. */
function titleOf(text: string): string {
  const asked = /^\s*\d+[.)]\s+(.+)$/m.exec(text)?.[1] ?? text
  const words = asked.trim().split(/\s+/).slice(0, 6)
  while (words.length > 1 && words.join(' ').length > 50) words.pop()
  return words.join(' ').slice(0, 50) || 'Untitled'
}
