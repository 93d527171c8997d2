import { describe, expect, it } from 'vitest'
import type { Request, Run, Tool } from '../../src/protocol/protocol.ts'
import { Departures } from '../../src/session-manager/runs/departures.ts'
import { OpenCalls } from '../../src/session-manager/runs/open-calls.ts'
import type { RunPast } from '../../src/session-manager/runs/run-past.ts'
import { approval, elicitation } from './test-agents.ts'

const noUsage = { input_tokens: 0, output_tokens: 0, cached_input_tokens: 0, cached_write_tokens: 0 }
const started_at = '2026-01-01T00:00:00.000Z'

/** So many milliseconds after the run has begun. */
function later(milliseconds: number): string {
  return new Date(Date.parse(started_at) + milliseconds).toISOString()
}

function runOf(run_id: string, more: Partial<Run> = {}): Run {
  const begin = { run_id, session_id: 's', agent: 'a', agent_name: 'root', trigger: 'detached', first_seq: 1 } as const
  return { ...begin, status: 'running', started_at, usage: noUsage, cost: 0, ...more }
}

function pastOf(more: Partial<RunPast> = {}): RunPast {
  return {
    partial: undefined,
    lastTold: started_at,
    fromSeq: 1,
    used: new Set(),
    below: [],
    openCalls: new OpenCalls(),
    calls: 0,
    extended: undefined,
    cut: undefined,
    begun: new Map(),
    budgets: [],
    completed: new Set(),
    ...more,
  }
}

/** Calls that have begun, by the categories of their tools. */
function calls(...categories: readonly string[]): OpenCalls {
  const open = new OpenCalls()
  categories.forEach((category, place) => {
    const tool_definition: Tool = { name: category, category, parameters: {}, annotations: {}, outputSchema: {} }
    const tool_call = { id: `call-${place}`, type: 'function', function: { name: category, arguments: '{}' } }
    open.note({ type: 'tool_call', agent_name: 'root', tool_call, tool_definition })
  })
  return open
}

function asked({ content }: Pick<Request, 'content'>, run_id = 'r'): Request {
  return { id: 'q', session_id: 's', run_id, state: 'open', created_at: started_at, content }
}

describe('The death of a process', () => {
  it.each<[string, RunPast, readonly Request[], boolean]>([
    ['a model', pastOf(), [], true],
    ['a tool', pastOf({ openCalls: calls('shell') }), [], true],
    ['a task', pastOf({ openCalls: calls('transfer') }), [], false],
    ['a task and a tool', pastOf({ openCalls: calls('transfer', 'shell') }), [], true],
    ['an approval', pastOf(), [asked(approval('call-0'))], false],
    ['an approval and a tool', pastOf({ openCalls: calls('shell') }), [asked(approval('call-1'))], true],
    ['a question of its tool', pastOf({ openCalls: calls('mcp') }), [asked(elicitation('Who?', 'call-0'))], false],
    [
      'a question of one of two tools',
      pastOf({ openCalls: calls('mcp', 'mcp') }),
      [asked(elicitation('Who?', 'call-0'))],
      true,
    ],
  ])('counts for a run that waits for %s: %#', (_, past, requests, counts) => {
    const attempt = counts ? 2 : 1
    expect(new Departures(3).take({ run: runOf('r'), past, requests })).toEqual({ cause: 'crash', counts, attempt })
  })

  it('counts as the first for a run that has told something ten minutes after it went on', () => {
    const late = runOf('r', { attempt: 3, went_on_at: later(1000) })
    const take = (lastTold: string) => new Departures(3).take({ run: late, past: pastOf({ lastTold }), requests: [] })
    expect([take(later(600_999)), take(later(601_000))]).toMatchObject([{ attempt: 4 }, { attempt: 2 }])
  })

  it('counts for one of those on their last attempt: the one at work that had gone on last', () => {
    const departures = new Departures(2)
    const at = (milliseconds: number, id: string) => runOf(id, { attempt: 2, went_on_at: later(milliseconds) })
    const found = departures.inOrder([at(1, 'first'), at(3, 'waits'), runOf('fresh'), at(2, 'last')])
    expect(found.map(({ run_id }) => run_id)).toEqual(['fresh', 'waits', 'last', 'first'])
    const ended = found.filter((run) => {
      const requests = run.run_id === 'waits' ? [asked(approval('call-0'), run.run_id)] : []
      return departures.isExhausted(departures.take({ run, past: pastOf(), requests }))
    })
    expect(ended.map(({ run_id }) => run_id)).toEqual(['last'])
  })

  it('counts for every run where none is begun again', () => {
    const departures = new Departures(1)
    const taken = ['a', 'b'].map((id) => departures.take({ run: runOf(id), past: pastOf(), requests: [] }))
    expect(taken.map((one) => departures.isExhausted(one))).toEqual([true, true])
  })

  it('counts for none that the process had handed over, or not gone on with', () => {
    const taken = new Departures(1).take({ run: runOf('r', { handed_over: true }), past: pastOf(), requests: [] })
    expect(taken).toEqual({ cause: 'handover', counts: false, attempt: 1 })
  })
})

describe('A commit that failed', () => {
  it('counts for the run of which something could not be stored, and not where the store took nothing', () => {
    const departures = new Departures(2)
    const causes = ['store_failure', 'crash'] as const
    for (const cause of causes) departures.failed(cause, cause)
    const take = (session_id: string) => {
      const run = runOf('r', { session_id, attempt: 2, went_on_at: started_at })
      return departures.take({ run, past: pastOf(), requests: [] })
    }
    expect(causes.map(take)).toEqual([
      { cause: 'store_failure', counts: false, attempt: 2 },
      { cause: 'crash', counts: true, attempt: 3 },
    ])
  })
})
