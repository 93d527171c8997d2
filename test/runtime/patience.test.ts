import { describe, expect, test } from 'vitest'
import { RunActivity } from '../../src/session-manager/runs/run-activity.ts'
import { isAlive } from '../tools/world.ts'
import { carryOut, session, user } from './run-context.ts'
import { sh, toolBench } from './tool-bench.ts'

const agent = { toolsets: [{ type: 'shell' }] }
const begin = () => session([user('begin')], { settings: { safety_policy: 'autonomous' } })

describe('a run of agents', () => {
  test('tells what it waits for, at every step (R5)', async () => {
    const { runtime } = toolBench([[sh('echo one'), sh('echo two')]], { agent })
    const activity = new RunActivity()
    const seen: string[] = []
    await carryOut(runtime, begin(), (event) => {
      activity.take(event)
      const doing = activity.doing.map(({ kind }) => kind).join(' ')
      if (seen.at(-1) !== doing) seen.push(doing)
    })
    expect(seen.slice(0, 4)).toEqual(['starting', 'step', 'model', 'tool tool'])
    expect(seen.slice(4).filter((doing) => doing !== 'tool')).toEqual(['step', 'model', 'step'])
  })

  test('ends a tool that says nothing, takes its processes along, and lets the model read it (R2)', async () => {
    const patience = { modelMs: Number.POSITIVE_INFINITY, toolMs: 1000 }
    const bench = toolBench([[sh('echo $$ > pid; sleep 1000')]], { agent, patience })
    expect(bench.runtime.patience).toBe(patience)
    const { reason } = await carryOut(bench.runtime, begin())
    expect(reason).toBe('normal')
    expect(bench.results).toEqual([expect.stringContaining('It is unknown whether it took effect')])
    expect(isAlive(Number(bench.read('pid')))).toBe(false)
  })
})
