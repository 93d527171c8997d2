import { z } from 'zod'

const Rates = z.object({
  input: z.number().nonnegative(),
  output: z.number().nonnegative(),
  cache_read: z.number().nonnegative().optional(),
  cache_write: z.number().nonnegative().optional(),
})

/** USD per million tokens. What is not named costs as much as input. `long`: of a call whose prompt has more tokens. */
export const Price = Rates.extend({ long: Rates.extend({ above: z.number().int().positive() }).optional() })
export type Price = z.infer<typeof Price>

/** A number of tokens, a level, or `adaptive` (the model decides), with or without an upper level. */
export const ThinkingBudget = z.union([
  z.number().int(),
  z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max', 'adaptive']),
  z.templateLiteral(['adaptive/', z.enum(['low', 'medium', 'high', 'xhigh', 'max'])]),
])
export type ThinkingBudget = z.infer<typeof ThinkingBudget>

const TaskBudget = z.union([
  z.number().int().nonnegative(),
  z.object({ total: z.number().int().nonnegative() }).transform(({ total }) => total),
])

export const Capabilities = z.object({ image: z.boolean().optional(), pdf: z.boolean().optional() })
export type Capabilities = z.infer<typeof Capabilities>

export const ApiType = z.enum(['openai_chatcompletions', 'openai_responses'])
export type ApiType = z.infer<typeof ApiType>

/**
 * One model as an agent file describes it, once names are resolved: what a custom provider or `first_available` adds has
 * been merged in by the caller. Keys that are no business of this room are ignored.
 */
export const ModelDefinition = z.object({
  provider: z.string().min(1),
  model: z.string().min(1),
  base_url: z.string().optional(),
  /** Name of the environment variable that holds the key. */
  token_key: z.string().optional(),
  api_type: ApiType.optional(),
  max_tokens: z.number().int().positive().optional(),
  temperature: z.number().optional(),
  top_p: z.number().optional(),
  frequency_penalty: z.number().optional(),
  presence_penalty: z.number().optional(),
  parallel_tool_calls: z.boolean().optional(),
  thinking_budget: ThinkingBudget.optional(),
  /** Tokens that a whole task should take, all its turns together. */
  task_budget: TaskBudget.optional(),
  /** What the model can be shown; what is not said is true. */
  capabilities: Capabilities.optional(),
  provider_opts: z.record(z.string(), z.unknown()).refine(isJson, 'must be plain JSON').optional(),
  cost: Price.optional(),
})
export type ModelDefinition = z.infer<typeof ModelDefinition>

function isJson(value: unknown): boolean {
  return z.json().safeParse(value).success
}
