import { z } from 'zod'

/** A model that a session may switch to. Costs in USD per million tokens. */
export const ModelChoice = z.object({
  name: z.string(),
  ref: z.string(),
  provider: z.string().optional(),
  model: z.string().optional(),
  is_default: z.boolean().optional(),
  is_current: z.boolean().optional(),
  is_custom: z.boolean().optional(),
  is_catalog: z.boolean().optional(),
  family: z.string().optional(),
  input_cost: z.number().optional(),
  output_cost: z.number().optional(),
  cache_read_cost: z.number().optional(),
  cache_write_cost: z.number().optional(),
  context_limit: z.number().int().optional(),
  output_limit: z.number().int().optional(),
})
export type ModelChoice = z.infer<typeof ModelChoice>

/** `GET /api/sessions/:id/models`: exactly one choice is current. */
export const SessionModels = z.object({
  agent: z.string(),
  current_model_ref: z.string().optional(),
  models: z.array(ModelChoice),
})
export type SessionModels = z.infer<typeof SessionModels>
