import type { Agent, AgentFile, Budget } from '../agent-file/agent-file.ts'
import {
  type BudgetLimit,
  type BudgetUsage,
  budgetLimits,
  type ExceededBudget,
  type Spending,
  usedUp,
} from '../protocol/protocol.ts'
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

  /** `before`: how they stood when a former process left the run. */
  constructor(file: AgentFile, root: Pick<RunContext, 'settings' | 'spent'>, before: readonly BudgetUsage[] = []) {
    const run = file.budget === undefined ? [] : [potOf('run', 'budget', file.budget)]
    const named = Object.entries(file.budgets ?? {}).map(([name, limits]) => potOf(name, `budgets.${name}`, limits))
    this.#pots = [...run, ...named]
    for (const { name, byAgent } of this.#pots) {
      for (const [agent, spent] of spentBefore(before.find((usage) => usage.name === name))) byAgent.set(agent, spent)
    }
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

  /** How the budgets stand that count for an agent. `seconds`: of work that its session has not been told of. */
  usage(agent: Agent, seconds = 0): readonly BudgetUsage[] {
    return this.#standings(agent, seconds).map(usageOf)
  }

  /** The first budget of an agent that has nothing left. */
  exceeded(agent: Agent): ExceededBudget | undefined {
    for (const { name, path, limits, spent } of this.#standings(agent)) {
      const limit = usedUp(limits, spent)
      if (limit !== undefined) {
        return { ...limit, budget: name, config_path: `${path}.${limit.limit}`, message: sentence(name, limit) }
      }
    }
    return undefined
  }

  /** What an agent should know about budgets that run out. */
  warning(agent: Agent): string | undefined {
    const limits = this.#standings(agent).flatMap(({ limits, spent }) => budgetLimits(limits, spent))
    if (!limits.some(({ used, max }) => used >= nearlySpent * max)) return undefined
    return 'What you may spend on this work is nearly used up. Finish the most important part now, and say what is left.'
  }

  #standings(agent: Agent, seconds = 0): readonly Standing[] {
    const { budget: limits } = this.#root.settings()
    const told = this.#root.spent()
    const spent = { ...told, elapsed_seconds: told.elapsed_seconds + seconds }
    const session = limits === undefined ? [] : [{ name: 'session', path: 'session.budget', limits, spent, agents: [] }]
    return [...session, ...this.#potsOf(agent).map(standingOf)]
  }

  #potsOf(agent: Agent): readonly Pot[] {
    const names = this.#members.get(agent.Name) ?? []
    return this.#pots.filter(({ name, path }) => path === 'budget' || names.includes(name))
  }
}

function potOf(name: string, path: string, limits: Budget): Pot {
  return { name, path, limits, byAgent: new Map() }
}

/** How a budget stands now. */
interface Standing extends Pick<Pot, 'name' | 'path' | 'limits'> {
  readonly spent: Spending
  readonly agents: readonly (readonly [name: string, spent: AgentSpending])[]
}

function standingOf({ name, path, limits, byAgent }: Pot): Standing {
  const agents = [...byAgent]
  const sum = (key: keyof Spending): number => agents.reduce((total, [, spent]) => total + spent[key], 0)
  const spent = { cost: sum('cost'), tokens: sum('tokens'), elapsed_seconds: sum('elapsed_seconds') }
  return { name, path, limits, spent, agents }
}

function spentBefore(usage: BudgetUsage | undefined): readonly (readonly [string, AgentSpending])[] {
  const { per_agent = [], unpriced = false } = usage ?? {}
  return per_agent.map(({ agent_name, cost, tokens, active_seconds }) => {
    return [agent_name, { cost, tokens, elapsed_seconds: active_seconds, unpriced }]
  })
}

const wireNames = { max_cost: 'max_cost', max_tokens: 'max_tokens', max_time: 'max_time_seconds' } as const

function usageOf({ name, limits, spent, agents }: Standing): BudgetUsage {
  const per_agent = agents.map(([agent_name, { cost, tokens, elapsed_seconds }]) => {
    return { agent_name, cost, tokens, active_seconds: elapsed_seconds }
  })
  return {
    name,
    ...spent,
    ...Object.fromEntries(budgetLimits(limits, spent).map(({ limit, max }) => [wireNames[limit], max])),
    ...(agents.some(([, { unpriced }]) => unpriced) && { unpriced: true }),
    ...(per_agent.length > 0 && { per_agent }),
  }
}

const units = { max_cost: 'USD', max_tokens: 'tokens', max_time: 'seconds' } as const

function sentence(name: string, { limit, used, max }: BudgetLimit): string {
  const amount = (value: number): string => `${Number(value.toPrecision(6))} ${units[limit]}`
  return `The budget "${name}" is used up: ${amount(used)} of ${amount(max)}.`
}
