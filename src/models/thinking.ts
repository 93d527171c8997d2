import type { JSONObject, LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { z } from 'zod'
import type { ModelDefinition, ThinkingBudget } from './model-definition.ts'
import { type Dialect, openaiThinks } from './providers.ts'

type Level = NonNullable<LanguageModelV4CallOptions['reasoning']>

type Thinking = {
  readonly reasoning?: Level
  readonly options?: JSONObject
  /** Tokens that a model which cannot be kept from thinking takes out of the limit of its answer. */
  readonly headroom?: number
}

const Effort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])
type Effort = z.infer<typeof Effort>

/**
 * `thinking_budget` for each kind of provider, as far as the model takes it. Anthropic and Google have models for a number
 * of tokens and models for levels; OpenAI and what is like it know levels only, so a number becomes the level that is next
 * to it. `off` asks for as little as the model can do.
 */
export function thinkingOf(
  { model, thinking_budget: budget }: ModelDefinition,
  dialect: Dialect,
  wanted: 'off' | undefined,
): Thinking {
  if (wanted === 'off') return least(dialect, model)
  if (budget === undefined) return {}
  if (dialect === 'anthropic') return anthropicThinking(model, budget)
  if (dialect === 'google') return googleThinking(budget)
  const reasoning = openaiLevel(model, levelOf(budget))
  const summary: JSONObject = dialect === 'openai_responses' && reasoning !== 'none' ? { reasoningSummary: 'auto' } : {}
  return { ...(reasoning && { reasoning }), options: summary }
}

/** Enough for the little that models think who are asked for little. */
const headroom = 1000

function least(dialect: Dialect, model: string): Thinking {
  const room = cannotStop(dialect, model) ? { headroom } : {}
  if (!thinks(dialect, model)) return room
  if (dialect === 'anthropic' || dialect === 'google') return { reasoning: 'none', ...room }
  // The package would ask for a summary of it, which not every key may see.
  const options: JSONObject = dialect === 'openai_responses' ? { reasoningSummary: null } : {}
  return { reasoning: openaiLevel(model, 'none') ?? 'none', options, ...room }
}

/** Whether a model takes settings for thinking at all; others refuse a request that holds one. */
function thinks(dialect: Dialect, model: string): boolean {
  switch (dialect) {
    case 'openai_chat':
    case 'openai_responses':
      return openaiThinks.test(model)
    case 'anthropic':
      return !/^claude-(2|3-(0|5|opus|sonnet|haiku))/.test(model)
    case 'google':
      return /^gemini-(2\.5|[3-9]|flash|pro)/.test(model)
    case 'compatible':
      return false
  }
}

/** Whether a model thinks whatever it is told, and pays for it out of the limit of its answer. */
function cannotStop(dialect: Dialect, model: string): boolean {
  switch (dialect) {
    case 'openai_chat':
    case 'openai_responses':
      return openaiThinks.test(model) && !/^gpt-(5\.[1-9]|[6-9]|\d\d)(?!.*(codex|pro))/.test(model)
    case 'anthropic':
      return /^claude-(fable|mythos)/.test(model)
    case 'google':
      return thinks(dialect, model) && !/^gemini-2\.5-flash/.test(model)
    case 'compatible':
      return /deepseek-(v[4-9]|r\d|reasoner)|kimi-k[2-9]|gpt-oss|qwen-?3|glm-[4-9]|minimax-m|magistral|thinking/i.test(
        model,
      )
  }
}

/** The levels of OpenAI's models that do not take all that their package would send. */
const openaiLevels: readonly (readonly [model: RegExp, least: Effort, most: Effort])[] = [
  [/^gpt-5-pro/, 'high', 'high'],
  [/^gpt-.*-pro/, 'medium', 'xhigh'],
  [/^(o\d|codex|gpt-5-codex|gpt-5\.1-codex(?!-max))/, 'low', 'high'],
  [/^gpt-.*-codex/, 'low', 'xhigh'],
  [/^gpt-5(?!\.)/, 'minimal', 'high'],
]

function openaiLevel(model: string, level: Effort | undefined): Effort | undefined {
  if (level === undefined) return undefined
  const [, least, most] = openaiLevels.find(([pattern]) => pattern.test(model)) ?? []
  const low = least === undefined ? 0 : Effort.options.indexOf(least)
  const high = most === undefined ? Infinity : Effort.options.indexOf(most)
  return Effort.options[Math.min(Math.max(Effort.options.indexOf(level), low), high)]
}

/** Anthropic's models that only take a number of tokens, and those that no longer take one. */
const countsTokens = /^claude-(3-7|(opus|sonnet|haiku)-4(-[0-5])?(-\d{8}|-latest)?$)/
const choosesItself = /^claude-((opus|sonnet|haiku)-([5-9]|4-[7-9])|fable|mythos)/

function anthropicThinking(model: string, budget: ThinkingBudget): Thinking {
  const level = levelOf(budget)
  if (level === 'none') return { reasoning: 'none' }
  if (isAdaptive(budget)) return countsTokens.test(model) ? { reasoning: level ?? 'medium' } : adaptive(level)
  if (typeof budget === 'string') return level === undefined ? {} : { reasoning: level }
  if (choosesItself.test(model)) return adaptive(level)
  return { options: { thinking: { type: 'enabled', budgetTokens: budget } } }
}

function adaptive(level: Effort | undefined): Thinking {
  const effort = level === 'minimal' ? 'low' : level
  return { options: { thinking: { type: 'adaptive', display: 'summarized' }, ...(effort !== undefined && { effort }) } }
}

function googleThinking(budget: ThinkingBudget): Thinking {
  const level = levelOf(budget)
  // Some of its models cannot do without; the package knows which, and asks those for little.
  if (level === 'none') return { reasoning: 'none', options: { thinkingConfig: { includeThoughts: false } } }
  if (typeof budget === 'number')
    return { options: { thinkingConfig: { thinkingBudget: budget, includeThoughts: true } } }
  if (level === undefined) return { options: { thinkingConfig: { thinkingBudget: -1, includeThoughts: true } } }
  return { reasoning: level, options: { thinkingConfig: { includeThoughts: true } } }
}

function isAdaptive(budget: ThinkingBudget): boolean {
  return budget === -1 || (typeof budget === 'string' && budget.startsWith('adaptive'))
}

/** `undefined`: the model decides. */
function levelOf(budget: ThinkingBudget): Effort | undefined {
  if (typeof budget === 'string') return Effort.safeParse(budget.replace(/^adaptive\/?/, '')).data
  if (budget < 0) return undefined
  if (budget === 0) return 'none'
  if (budget <= 1024) return 'minimal'
  if (budget <= 4096) return 'low'
  return budget <= 16_384 ? 'medium' : 'high'
}
