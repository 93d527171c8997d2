import type { JSONObject, JSONSchema7, LanguageModelV4CallOptions, LanguageModelV4FunctionTool } from '@ai-sdk/provider'
import { z } from 'zod'
import type { Tool } from '../protocol/protocol.ts'
import { optionsKey } from './answer-blocks.ts'
import type { AnswerFormat, ModelRequest } from './language-model.ts'
import type { ModelDefinition, ThinkingBudget } from './model-definition.ts'
import { prompt } from './prompt.ts'
import { type Dialect, thinks } from './providers.ts'

type Level = NonNullable<LanguageModelV4CallOptions['reasoning']>
type Thinking = { readonly reasoning?: Level; readonly options?: JSONObject }

/** Keys of `provider_opts` that are meant for us. */
const ours: ReadonlySet<string> = new Set(['api_type', 'context_size', 'script'])

const Options = z.record(z.string(), z.json())

/** Everything one call tells the provider package, the signal apart. */
export function callOptions(
  definition: ModelDefinition,
  dialect: Dialect,
  request: ModelRequest,
): LanguageModelV4CallOptions {
  const { provider, model, capabilities } = definition
  const thinking = thinkingOf(definition, dialect, request)
  const maxOutputTokens = request.maxOutputTokens ?? definition.max_tokens
  const tools = request.tools.map(functionTool)
  const format = request.purpose === 'turn' ? request.format : undefined
  return {
    prompt: prompt(request.messages, { dialect, provider, model, capabilities }),
    ...(tools.length > 0 && { tools }),
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
    ...sampling(definition),
    ...(thinking.reasoning && { reasoning: thinking.reasoning }),
    ...(format && { responseFormat: responseFormat(format) }),
    providerOptions: {
      [optionsKey[dialect]]: {
        ...fixed[dialect],
        ...(tools.length > 0 && parallel(dialect, definition.parallel_tool_calls)),
        ...(format && strictness(dialect, format)),
        ...thinking.options,
        ...taskBudget(dialect, definition.task_budget),
        ...ownOptions(definition, dialect),
      },
    },
  }
}

const fixed: Readonly<Record<Dialect, JSONObject>> = {
  openai_chat: {},
  // Sessions are kept here and nowhere else; the provider hands its reasoning out encrypted instead of keeping it.
  openai_responses: { store: false },
  // Pings show that a model which thinks for minutes is alive.
  anthropic: { includePings: true },
  google: {},
  compatible: {},
}

function sampling(definition: ModelDefinition): Partial<LanguageModelV4CallOptions> {
  const {
    temperature,
    top_p: topP,
    frequency_penalty: frequencyPenalty,
    presence_penalty: presencePenalty,
  } = definition
  return {
    ...(temperature !== undefined && { temperature }),
    ...(topP !== undefined && { topP }),
    ...(frequencyPenalty !== undefined && { frequencyPenalty }),
    ...(presencePenalty !== undefined && { presencePenalty }),
  }
}

function parallel(dialect: Dialect, wanted: boolean | undefined): JSONObject {
  if (wanted === undefined || dialect === 'google') return {}
  if (dialect === 'anthropic') return { disableParallelToolUse: !wanted }
  return dialect === 'compatible' ? { parallel_tool_calls: wanted } : { parallelToolCalls: wanted }
}

/**
 * `thinking_budget` for each kind of provider. Anthropic and Google take a number of tokens as it is; OpenAI and what is
 * like it know levels only, so a number becomes the level that is next to it.
 */
function thinkingOf(definition: ModelDefinition, dialect: Dialect, request: ModelRequest): Thinking {
  if (request.thinking === 'off') return thinks(dialect, definition.model) ? { reasoning: 'none' } : {}
  const budget = definition.thinking_budget
  if (budget === undefined) return {}
  if (dialect === 'anthropic') return anthropicThinking(budget)
  if (dialect === 'google') return googleThinking(budget)
  const reasoning = levelOf(budget)
  const summary: JSONObject = dialect === 'openai_responses' && reasoning !== 'none' ? { reasoningSummary: 'auto' } : {}
  return { ...(reasoning && { reasoning }), options: summary }
}

function anthropicThinking(budget: ThinkingBudget): Thinking {
  if (typeof budget === 'number' && budget > 0) {
    return { options: { thinking: { type: 'enabled', budgetTokens: budget } } }
  }
  if (budget === 0) return { reasoning: 'none' }
  const level = levelOf(budget)
  if (level !== undefined && !isAdaptive(budget)) return { reasoning: level }
  return { options: { thinking: { type: 'adaptive' }, ...(level !== undefined && { effort: level }) } }
}

function googleThinking(budget: ThinkingBudget): Thinking {
  if (typeof budget === 'number') {
    return { options: { thinkingConfig: { thinkingBudget: budget, includeThoughts: budget !== 0 } } }
  }
  const level = levelOf(budget)
  if (level === undefined) return { options: { thinkingConfig: { thinkingBudget: -1, includeThoughts: true } } }
  return { reasoning: level, options: { thinkingConfig: { includeThoughts: level !== 'none' } } }
}

/** What Anthropic takes at least. It is advice to the model, so a smaller one is rounded up. */
const leastTaskBudget = 20_000

/** Only Anthropic can be told what a task should take. */
function taskBudget(dialect: Dialect, total: number | undefined): JSONObject {
  if (dialect !== 'anthropic' || !total) return {}
  return { taskBudget: { type: 'tokens', total: Math.max(total, leastTaskBudget) } }
}

function isAdaptive(budget: ThinkingBudget): boolean {
  return budget === -1 || (typeof budget === 'string' && budget.startsWith('adaptive'))
}

const Effort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])

/** `undefined`: the model decides. */
function levelOf(budget: ThinkingBudget): z.infer<typeof Effort> | undefined {
  if (typeof budget === 'string') return Effort.safeParse(budget.replace(/^adaptive\/?/, '')).data
  if (budget < 0) return undefined
  if (budget === 0) return 'none'
  if (budget <= 1024) return 'minimal'
  if (budget <= 4096) return 'low'
  return budget <= 16_384 ? 'medium' : 'high'
}

/** A compatible server gets the keys in its body as they are written; the packages' own options are in camel case. */
function ownOptions(definition: ModelDefinition, dialect: Dialect): JSONObject {
  const options = Options.parse(definition.provider_opts ?? {})
  const own = Object.entries(options).filter(([name]) => !ours.has(name))
  return Object.fromEntries(own.map(([name, value]) => [dialect === 'compatible' ? name : camelCase(name), value]))
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function responseFormat({ name, description, schema }: AnswerFormat): LanguageModelV4CallOptions['responseFormat'] {
  const parsed = Schema.safeParse(schema)
  return {
    type: 'json',
    name,
    ...(description !== undefined && { description }),
    ...(parsed.success && { schema: parsed.data }),
  }
}

/** The packages would be strict where nothing is said, and refuse schemas that authors wrote for less. */
function strictness(dialect: Dialect, { strict = false }: AnswerFormat): JSONObject {
  return dialect === 'anthropic' || dialect === 'google' ? {} : { strictJsonSchema: strict }
}

const Schema = z.custom<JSONSchema7>((value) => typeof value === 'object' && value !== null && !Array.isArray(value))

function functionTool(tool: Tool): LanguageModelV4FunctionTool {
  const schema = Schema.safeParse(tool.parameters)
  return {
    type: 'function',
    name: tool.name,
    ...(tool.description !== undefined && { description: tool.description }),
    inputSchema: schema.success ? schema.data : { type: 'object', properties: {} },
  }
}
