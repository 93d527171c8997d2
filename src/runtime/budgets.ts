import type { Agent, AgentFile, Budget } from '../agent-file/agent-file.ts'
import { type BudgetUsage, type ExceededBudget, parseDuration, type Spending } from '../protocol/protocol.ts'
import type { RunContext } from './runtime.ts'

/** Of a limit: from here on the agent is told that it runs out. */
const nearlySpent = 0.8

interface AgentSpending extends Spending {
  readonly unpriced: boolean
}

/** A budget and what counts against it. */
interface Pot {
  readonly name: string
  /** Where the limits are written. */
  readonly path: string
  readonly limits: Budget
  readonly byAgent: Map<string, AgentSpending>
}

/**
 * What a run and all its tasks may spend: the budget of the file and the named ones, which begin anew with every run, and
 * the session's own, which counts everything the session has ever spent.
 */
export class Budgets {
  readonly #pots: readonly Pot[]
  readonly #members: ReadonlyMap<string, readonly string[]>
  readonly #root: Pick<RunContext, 'settings' | 'spent'>

  constructor(file: AgentFile, root: Pick<RunContext, 'settings' | 'spent'>) {
    const run = file.budget === undefined ? [] : [potOf('run', 'budget', file.budget)]
    const named = Object.entries(file.budgets ?? {}).map(([name, limits]) => potOf(name, `budgets.${name}`, limits))
    this.#pots = [...run, ...named]
    this.#members = new Map(file.agents.map((agent) => [agent.Name, agent.budgets ?? []]))
    this.#root = root
  }

  /** Counts what an agent has spent. `unpriced`: for a model whose price nobody knows. */
  spend(agent: Agent, { cost, tokens, elapsed_seconds }: Spending, unpriced = false): void {
    for (const { byAgent } of this.#potsOf(agent)) {
      const before = byAgent.get(agent.Name) ?? { cost: 0, tokens: 0, elapsed_seconds: 0, unpriced: false }
      byAgent.set(agent.Name, {
        cost: before.cost + cost,
        tokens: before.tokens + tokens,
        elapsed_seconds: before.elapsed_seconds + elapsed_seconds,
        unpriced: before.unpriced || unpriced,
      })
    }
  }

  /** How the budgets stand that count for an agent. */
  usage(agent: Agent): readonly BudgetUsage[] {
    const { budget } = this.#root.settings()
    const session = budget === undefined ? [] : [usageOf('session', budget, this.#root.spent())]
    return [...session, ...this.#potsOf(agent).map(potUsage)]
  }

  /** The first budget of an agent that has nothing left. */
  exceeded(agent: Agent): ExceededBudget | undefined {
    for (const usage of this.usage(agent)) {
      const spent = limitsOf(usage).find(({ used, max }) => used >= max)
      if (spent !== undefined) return { ...spent, budget: usage.name, ...whereAndWhy(usage.name, this.#pots, spent) }
    }
    return undefined
  }

  /** What an agent should know about budgets that run out. */
  warning(agent: Agent): string | undefined {
    const near = this.usage(agent).filter((usage) => limitsOf(usage).some(({ used, max }) => used >= nearlySpent * max))
    if (near.length === 0) return undefined
    return 'What you may spend on this work is nearly used up. Finish the most important part now, and say what is left.'
  }

  #potsOf(agent: Agent): readonly Pot[] {
    const names = this.#members.get(agent.Name) ?? []
    return this.#pots.filter(({ name, path }) => path === 'budget' || names.includes(name))
  }
}

function potOf(name: string, path: string, limits: Budget): Pot {
  return { name, path, limits, byAgent: new Map() }
}

function potUsage({ name, limits, byAgent }: Pot): BudgetUsage {
  const all = [...byAgent.values()]
  const sum = (key: keyof Spending): number => all.reduce((total, one) => total + one[key], 0)
  const total = { cost: sum('cost'), tokens: sum('tokens'), elapsed_seconds: sum('elapsed_seconds') }
  const per_agent = [...byAgent].map(([agent_name, { cost, tokens, elapsed_seconds }]) => {
    return { agent_name, cost, tokens, active_seconds: elapsed_seconds }
  })
  return {
    ...usageOf(name, limits, total),
    ...(all.some(({ unpriced }) => unpriced) && { unpriced: true }),
    ...(per_agent.length > 0 && { per_agent }),
  }
}

/** Zero is no limit. */
function usageOf(name: string, { max_cost, max_tokens, max_time }: Budget, spent: Spending): BudgetUsage {
  const seconds = (parseDuration(max_time ?? '0') ?? 0) / 1000
  return {
    name,
    ...spent,
    ...(max_cost !== undefined && max_cost > 0 && { max_cost }),
    ...(max_tokens !== undefined && max_tokens > 0 && { max_tokens }),
    ...(seconds > 0 && { max_time_seconds: seconds }),
  }
}

type Limit = Pick<ExceededBudget, 'limit' | 'used' | 'max'>

function limitsOf(usage: BudgetUsage): readonly Limit[] {
  const { cost, max_cost, tokens, max_tokens, elapsed_seconds, max_time_seconds } = usage
  const limits = [
    { limit: 'max_cost', used: cost, max: max_cost },
    { limit: 'max_tokens', used: tokens, max: max_tokens },
    { limit: 'max_time', used: elapsed_seconds, max: max_time_seconds },
  ] as const
  return limits.flatMap(({ limit, used, max }) => (max === undefined ? [] : [{ limit, used, max }]))
}

const units = { max_cost: 'USD', max_tokens: 'tokens', max_time: 'seconds' } as const

function whereAndWhy(
  name: string,
  pots: readonly Pot[],
  { limit, used, max }: Limit,
): Pick<ExceededBudget, 'config_path' | 'message'> {
  const path = pots.find((pot) => pot.name === name)?.path ?? 'session'
  const amount = (value: number): string => `${Number(value.toPrecision(6))} ${units[limit]}`
  return {
    config_path: path === 'session' ? `session.budget.${limit}` : `${path}.${limit}`,
    message: `The budget "${name}" is used up: ${amount(used)} of ${amount(max)}.`,
  }
}
