import { type Budget, parseDuration, type Spending } from '../protocol/protocol.ts'

export const noSpending: Spending = { cost: 0, tokens: 0, elapsed_seconds: 0 }

export function sumOf(a: Spending, b: Spending): Spending {
  return {
    cost: a.cost + b.cost,
    tokens: a.tokens + b.tokens,
    elapsed_seconds: a.elapsed_seconds + b.elapsed_seconds,
  }
}

/** Whether nothing more may be spent. */
export function isOver(budget: Budget | undefined, { cost, tokens, elapsed_seconds }: Spending): boolean {
  const { max_cost = 0, max_tokens = 0, max_time = '0' } = budget ?? {}
  const seconds = (parseDuration(max_time) ?? 0) / 1000
  const limits = [
    [max_cost, cost],
    [max_tokens, tokens],
    [seconds, elapsed_seconds],
  ] as const
  return limits.some(([limit, used]) => limit > 0 && used >= limit)
}
