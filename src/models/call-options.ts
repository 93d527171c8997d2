import type { JSONObject, JSONSchema7, LanguageModelV4CallOptions, LanguageModelV4FunctionTool } from '@ai-sdk/provider'
import { z } from 'zod'
import type { Tool } from '../protocol/protocol.ts'
import { optionsKey } from './answer-blocks.ts'
import { capabilitiesOf } from './catalogue.ts'
import type { AnswerFormat, ModelRequest } from './language-model.ts'
import type { ModelDefinition } from './model-definition.ts'
import { prompt } from './prompt.ts'
import type { Dialect } from './providers.ts'
import { thinkingOf } from './thinking.ts'

/** Keys of `provider_opts` that are meant for us. */
const ours: ReadonlySet<string> = new Set(['api_type', 'context_size', 'script'])

const Options = z.record(z.string(), z.json())

/** Everything one call tells the provider package, the signal apart. */
export function callOptions(
  definition: ModelDefinition,
  dialect: Dialect,
  request: ModelRequest,
): LanguageModelV4CallOptions {
  const { provider, model } = definition
  const thinking = thinkingOf(definition, dialect, request.thinking)
  const maxOutputTokens = request.maxOutputTokens ?? definition.max_tokens
  const tools = request.tools.map(functionTool)
  const format = request.purpose === 'turn' ? request.format : undefined
  return {
    prompt: prompt(
      request.messages,
      { dialect, provider, model, capabilities: capabilitiesOf(definition) },
      request.steady,
    ),
    ...(tools.length > 0 && { tools }),
    ...(maxOutputTokens !== undefined && { maxOutputTokens: maxOutputTokens + (thinking.headroom ?? 0) }),
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

/** What Anthropic takes at least. It is advice to the model, so a smaller one is rounded up. */
const leastTaskBudget = 20_000

/** Only Anthropic can be told what a task should take. */
function taskBudget(dialect: Dialect, total: number | undefined): JSONObject {
  if (dialect !== 'anthropic' || !total) return {}
  return { taskBudget: { type: 'tokens', total: Math.max(total, leastTaskBudget) } }
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
