import { describe, expect, it } from 'vitest'
import { type AgentFile, agentNamed, parseAgentFile } from '../../src/agent-file/agent-file.ts'
import type { Budget, Spending } from '../../src/protocol/protocol.ts'
import { Budgets } from '../../src/runtime/budgets.ts'
import { session } from './run-context.ts'

const nothing: Spending = { cost: 0, tokens: 0, elapsed_seconds: 0 }

function fileWith(keys: object): AgentFile {
  const agents = { a: { model: 'openai/x', budgets: ['shared'] }, b: { model: 'openai/x' } }
  return parseAgentFile(JSON.stringify({ agents, ...keys }), { origin: 'test.yaml' })
}

interface BenchOptions {
  readonly file?: object
  readonly budget?: Budget
  readonly spent?: Spending
}

function bench({ file: keys = {}, budget, spent = nothing }: BenchOptions) {
  const file = fileWith({ budgets: { shared: {} }, ...keys })
  const [a, b] = [agentNamed(file, 'a'), agentNamed(file, 'b')]
  if (a === undefined || b === undefined) throw new Error('the file lacks an agent')
  return { budgets: new Budgets(file, session([], { settings: { budget }, spent }).context), a, b }
}

const cost = (cost: number): Spending => ({ ...nothing, cost })

describe('the budget of a file', () => {
  it('counts what all agents spend', () => {
    const { budgets, a, b } = bench({ file: { budget: { max_cost: 3 } } })
    budgets.spend(a, cost(1))
    budgets.spend(b, cost(1))
    expect(budgets.exceeded(a)).toBeUndefined()
    budgets.spend(b, cost(1))
    const exceeded = { budget: 'run', limit: 'max_cost', used: 3, max: 3, config_path: 'budget.max_cost' }
    expect(budgets.exceeded(a)).toMatchObject(exceeded)
    expect(budgets.exceeded(a)?.message).toBe('The budget "run" is used up: 3 USD of 3 USD.')
  })

  it.each([
    ['max_cost', 2, { ...nothing, cost: 2 }, 2],
    ['max_tokens', 100, { ...nothing, tokens: 100 }, 100],
    ['max_time', '1m30s', { ...nothing, elapsed_seconds: 90 }, 90],
  ] as const)('is used up by its %s', (limit, max, spent, used) => {
    const { budgets, a } = bench({ file: { budget: { [limit]: max } } })
    expect(budgets.exceeded(a)).toBeUndefined()
    budgets.spend(a, spent)
    expect(budgets.exceeded(a)).toMatchObject({ limit, used, max: used })
  })

  it('has no limit where it says zero', () => {
    const { budgets, a } = bench({ file: { budget: { max_cost: 0, max_tokens: 0, max_time: '0s' } } })
    budgets.spend(a, { cost: 1e6, tokens: 1e9, elapsed_seconds: 1e6 })
    expect(budgets.exceeded(a)).toBeUndefined()
    expect(budgets.warning(a)).toBeUndefined()
    expect(budgets.usage(a)[0]).toEqual({
      name: 'run',
      cost: 1e6,
      tokens: 1e9,
      elapsed_seconds: 1e6,
      per_agent: [{ agent_name: 'a', cost: 1e6, tokens: 1e9, active_seconds: 1e6 }],
    })
  })

  it('warns from four fifths on', () => {
    const { budgets, a } = bench({ file: { budget: { max_cost: 100, max_tokens: 10 } } })
    budgets.spend(a, { ...nothing, tokens: 7 })
    expect(budgets.warning(a)).toBeUndefined()
    budgets.spend(a, { ...nothing, tokens: 1 })
    expect(budgets.warning(a)).toMatch(/nearly used up/)
  })

  it('tells who has spent what, and that a price was not known', () => {
    const { budgets, a, b } = bench({ file: { budget: { max_cost: 5, max_tokens: 50, max_time: '2m' } } })
    expect(budgets.usage(b)).toEqual([{ name: 'run', ...nothing, max_cost: 5, max_tokens: 50, max_time_seconds: 120 }])
    budgets.spend(a, { cost: 1, tokens: 20, elapsed_seconds: 3 })
    budgets.spend(a, { cost: 0, tokens: 5, elapsed_seconds: 0 }, true)
    budgets.spend(b, { cost: 2, tokens: 1, elapsed_seconds: 4 })
    expect(budgets.usage(b)).toEqual([
      {
        name: 'run',
        cost: 3,
        tokens: 26,
        elapsed_seconds: 7,
        max_cost: 5,
        max_tokens: 50,
        max_time_seconds: 120,
        unpriced: true,
        per_agent: [
          { agent_name: 'a', cost: 1, tokens: 25, active_seconds: 3 },
          { agent_name: 'b', cost: 2, tokens: 1, active_seconds: 4 },
        ],
      },
    ])
  })
})

describe('a named budget', () => {
  it('counts and stops the agents alone that name it', () => {
    const { budgets, a, b } = bench({ file: { budgets: { shared: { max_cost: 2 } } } })
    budgets.spend(b, cost(100))
    expect(budgets.exceeded(a)).toBeUndefined()
    budgets.spend(a, cost(2))
    expect(budgets.exceeded(a)).toMatchObject({ budget: 'shared', config_path: 'budgets.shared.max_cost' })
    expect(budgets.exceeded(b)).toBeUndefined()
    expect(budgets.usage(b)).toEqual([])
  })

  it('is not taken for another of the same name', () => {
    const file = {
      agents: { a: { model: 'openai/x', budgets: ['run'] }, b: { model: 'openai/x' } },
      budget: { max_cost: 9 },
      budgets: { run: { max_cost: 2 } },
    }
    const { budgets, a, b } = bench({ file })
    budgets.spend(a, cost(3))
    expect(budgets.exceeded(a)?.config_path).toBe('budgets.run.max_cost')
    expect(budgets.exceeded(b)).toBeUndefined()
  })
})

describe('the budget of a session', () => {
  it('counts what the session has ever spent', () => {
    const spent = { cost: 1, tokens: 10, elapsed_seconds: 59 }
    const { budgets, b } = bench({ budget: { max_time: '1m', max_cost: 1.5 }, spent })
    expect(budgets.exceeded(b)).toBeUndefined()
    expect(budgets.warning(b)).toMatch(/nearly used up/)
    expect(budgets.usage(b)).toEqual([{ name: 'session', ...spent, max_time_seconds: 60, max_cost: 1.5 }])
    const over = bench({ budget: { max_cost: 0.5 }, spent })
    const exceeded = { budget: 'session', limit: 'max_cost', used: 1, max: 0.5, config_path: 'session.budget.max_cost' }
    expect(over.budgets.exceeded(over.a)).toMatchObject(exceeded)
  })

  it('is looked at before those of the file', () => {
    const spent = { ...nothing, cost: 2 }
    const { budgets, a } = bench({ budget: { max_cost: 1 }, spent, file: { budget: { max_cost: 1 } } })
    budgets.spend(a, cost(1))
    expect(budgets.exceeded(a)?.budget).toBe('session')
    expect(budgets.usage(a).map(({ name }) => name)).toEqual(['session', 'run', 'shared'])
  })
})
