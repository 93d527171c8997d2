import { z } from 'zod'
import { parseDuration } from './duration.ts'
import type { Usage } from './message.ts'

/** What may be spent: USD, tokens of input and output, working time as Go writes it. Zero or nothing means no limit. */
export const Budget = z.object({
  max_cost: z.number().nonnegative().optional(),
  max_tokens: z.number().int().nonnegative().optional(),
  max_time: z
    .string()
    .refine((text) => (parseDuration(text) ?? -1) >= 0, 'must be a duration such as 30s or 1h30m')
    .optional(),
})
export type Budget = z.infer<typeof Budget>

/** What was spent. Time counts while models and tools work, not while a person is waited for. */
export const Spending = z.object({ cost: z.number(), tokens: z.number().int(), elapsed_seconds: z.number() })
export type Spending = z.infer<typeof Spending>

/** How a budget stands: `run` is that of the run, `session` that of the session, every other name the agent file's. */
export const BudgetUsage = Spending.extend({
  name: z.string(),
  max_cost: z.number().optional(),
  max_tokens: z.number().int().optional(),
  max_time_seconds: z.number().optional(),
  /** Some of its model calls have no known price, and count as free. */
  unpriced: z.boolean().optional(),
  per_agent: z
    .array(z.object({ agent_name: z.string(), cost: z.number(), tokens: z.number().int(), active_seconds: z.number() }))
    .optional(),
})
export type BudgetUsage = z.infer<typeof BudgetUsage>

/** The budget that stopped a run: its name, which of its limits, and where that is written. */
export const ExceededBudget = z.object({
  budget: z.string(),
  limit: z.enum(['max_cost', 'max_tokens', 'max_time']),
  /** USD, tokens, or seconds. */
  used: z.number(),
  max: z.number(),
  config_path: z.string(),
  message: z.string(),
})
export type ExceededBudget = z.infer<typeof ExceededBudget>

/** A limit of a budget, and what of it is used: USD, tokens, or seconds. */
export type BudgetLimit = Pick<ExceededBudget, 'limit' | 'used' | 'max'>

/** The limits that a budget has; zero is none. */
export function budgetLimits(
  { max_cost = 0, max_tokens = 0, max_time = '0' }: Budget,
  { cost, tokens, elapsed_seconds }: Spending,
): readonly BudgetLimit[] {
  const seconds = (parseDuration(max_time) ?? 0) / 1000
  const limits: readonly BudgetLimit[] = [
    { limit: 'max_cost', used: cost, max: max_cost },
    { limit: 'max_tokens', used: tokens, max: max_tokens },
    { limit: 'max_time', used: elapsed_seconds, max: seconds },
  ]
  return limits.filter(({ max }) => max > 0)
}

/** The first limit of a budget of which nothing is left. */
export function usedUp(budget: Budget, spent: Spending): BudgetLimit | undefined {
  return budgetLimits(budget, spent).find(({ used, max }) => used >= max)
}

/** What a model call counts for. */
export function spendingOf(usage: Usage, cost: number): Spending {
  const { input_tokens, output_tokens, cached_input_tokens, cached_write_tokens } = usage
  return {
    cost,
    tokens: input_tokens + output_tokens + cached_input_tokens + cached_write_tokens,
    elapsed_seconds: 0,
  }
}
