import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { makeTempDir } from '../store/temp-dir.ts'
import { build, newSeed } from './house.ts'
import { checkEnds, newModel, type Real, stepsOf } from './session-model.ts'
import { type RunStep, SessionWorld, type WorldCommand } from './session-world.ts'

const steps: readonly RunStep[] = [
  'say',
  'answer',
  'takeSteering',
  'takeFollowUp',
  'end',
  'end',
  'fail',
  'misbehave',
  'askApproval',
  'askApproval',
  'askElicitation',
  'beginCompaction',
  'endCompaction',
]

const count = fc.integer({ min: 1, max: 4 })

const command: fc.Arbitrary<WorldCommand> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({ do: 'run' }) },
  { weight: 30, arbitrary: fc.record({ do: fc.constant('step'), step: fc.constantFrom(...steps) }) },
  { weight: 18, arbitrary: fc.record({ do: fc.constant('breathe'), ticks: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 9, arbitrary: fc.record({ do: fc.constantFrom('steer', 'followup'), count }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('keyed'), key: fc.constantFrom('k', 'l') }) },
  { weight: 9, arbitrary: fc.record({ do: fc.constant('verdict'), which: fc.option(fc.nat(9), { nil: undefined }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('fault'), fault: fc.constantFrom('refused', 'unknown') }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constantFrom('reply', 'policy', 'title', 'stop', 'hold', 'release') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('interrupt', 'rollback') }) },
  { weight: 4, arbitrary: fc.constant({ do: 'compact' }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('fill', 'free', 'free') }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('crash', 'restart') }) },
  { weight: 1, arbitrary: fc.constant({ do: 'delete' }) },
)

let store: Store
const { path, remove } = makeTempDir()

beforeAll(async () => {
  store = createSqliteStore({ path: join(path, 'test.db') })
  await store.open()
})

afterAll(async () => {
  await store.close()
  remove()
})

const recoveries = ['interrupt', 'resume'] as const

it.each(recoveries)(
  'keeps M1 to M6 (%s) under any commands, failed commits and crashes that lose what was not committed',
  async (recovery) => {
    const seed = newSeed(`a session (${recovery})`)
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 60, size: 'max' }), async (commands) => {
        const world = await SessionWorld.create(store, recovery)
        for (const one of commands) await world.carryOut(one)
        await world.settle()
        expect(store.unfinishedRuns()).toEqual([])
      }),
      { numRuns: Number(process.env.RUNS ?? 500), seed },
    )
  },
  600_000,
)

it.each(recoveries)(
  'does what its state table says (%s), command by command (M1, M2, M3, M4, M6)',
  async (recovery) => {
    const seed = newSeed(`the state table (${recovery})`)
    await fc.assert(
      fc.asyncProperty(fc.commands(stepsOf(fc), { maxCommands: 40, size: 'max' }), async (commands) => {
        const house = await build(store, { recovery })
        const { id } = await house.manager.createSession()
        const real: Real = { house, id, run: undefined, head: 0 }
        await fc.asyncModelRun(() => ({ model: newModel(recovery === 'resume'), real }), commands)
        await checkEnds(real)
        await real.house.manager.close()
      }),
      { numRuns: Number(process.env.RUNS ?? 500), seed },
    )
  },
  600_000,
)
