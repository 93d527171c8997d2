import type { Spending } from '../../protocol/protocol.ts'

export const noSpending: Spending = { cost: 0, tokens: 0, elapsed_seconds: 0 }

export function sumOf(a: Spending, b: Spending): Spending {
  return {
    cost: a.cost + b.cost,
    tokens: a.tokens + b.tokens,
    elapsed_seconds: a.elapsed_seconds + b.elapsed_seconds,
  }
}

/** What one is more than the other; less than nothing where it is less. */
export function differenceOf(a: Spending, b: Spending): Spending {
  return { cost: a.cost - b.cost, tokens: a.tokens - b.tokens, elapsed_seconds: a.elapsed_seconds - b.elapsed_seconds }
}
