import { z } from 'zod'
import { Count, Flag, FreeForm, optional, Text, TextMap, Texts } from './fields.ts'

const effort = /^(none|minimal|low|medium|high|xhigh|max|adaptive(\/(low|medium|high|xhigh|max))?)$/

/** Tokens to think with (-1: as the model likes, 0: none), or an effort by name. */
export const ThinkingBudget = z.union([
  z.number().int().min(-1),
  z.string().regex(effort, { error: 'expected a number of tokens or an effort such as low, medium or high' }),
])
export type ThinkingBudget = z.infer<typeof ThinkingBudget>

const TaskBudget = z.union([Count, z.strictObject({ type: optional(z.literal('tokens')), total: Count })])

const Auth = z.strictObject({
  type: z.literal('workload_identity_federation'),
  workload_identity_federation: z.strictObject({
    federation_rule_id: Text,
    organization_id: Text,
    service_account_id: optional(Text),
    identity_token: z.strictObject({
      file: optional(Text),
      env: optional(Text),
      command: optional(Texts),
      url: optional(Text),
      headers: optional(TextMap),
      response_field: optional(Text),
    }),
  }),
})

/** USD per million tokens. */
export const Cost = z.strictObject({
  input: optional(z.number().nonnegative()),
  output: optional(z.number().nonnegative()),
  cache_read: optional(z.number().nonnegative()),
  cache_write: optional(z.number().nonnegative()),
})
export type Cost = z.infer<typeof Cost>

export const Threshold = z.number().gt(0).lte(1)

const sampling = {
  temperature: optional(z.number().min(0).max(2)),
  max_tokens: optional(z.number().int().positive()),
  top_p: optional(z.number().min(0).max(1)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  presence_penalty: optional(z.number().min(-2).max(2)),
}

const behaviour = {
  parallel_tool_calls: optional(Flag),
  provider_opts: optional(FreeForm),
  track_usage: optional(Flag),
  thinking_budget: optional(ThinkingBudget),
  task_budget: optional(TaskBudget),
}

/** An entry of `models`: `provider` and `model`, or `first_available`. `token_key` names an environment variable. */
export const ModelConfig = z
  .strictObject({
    provider: optional(Text),
    model: optional(Text),
    description: optional(Text),
    ...sampling,
    base_url: optional(Text),
    token_key: optional(Text),
    bypass_models_gateway: optional(Flag),
    ...behaviour,
    routing: optional(z.array(z.strictObject({ model: Text, examples: Texts }))),
    first_available: optional(Texts.min(1)),
    title_model: optional(Text),
    compaction_model: optional(Text),
    compaction_threshold: optional(Threshold),
    auth: optional(Auth),
    capabilities: optional(z.strictObject({ image: optional(Flag), pdf: optional(Flag) })),
    output_capabilities: optional(z.strictObject({ image: optional(Flag), pdf: optional(Flag) })),
    cost: optional(Cost),
  })
  .superRefine((model, context) => {
    if (model.first_available !== undefined) return
    for (const key of ['provider', 'model'] as const) {
      if (model[key] === undefined) context.addIssue({ code: 'custom', message: `needs ${key}` })
    }
  })
export type ModelConfig = z.infer<typeof ModelConfig>

/** An entry of `providers`: what the models that name it share. Without `provider` it speaks OpenAI's protocol. */
export const ProviderConfig = z.strictObject({
  provider: optional(Text),
  api_type: optional(z.enum(['openai_chatcompletions', 'openai_responses'])),
  base_url: optional(Text),
  token_key: optional(Text),
  unload_api: optional(Text),
  ...sampling,
  ...behaviour,
  auth: optional(Auth),
  compaction_model: optional(Text),
})
export type ProviderConfig = z.infer<typeof ProviderConfig>
