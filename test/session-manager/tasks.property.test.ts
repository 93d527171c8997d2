import fc from 'fast-check'
import { it } from 'vitest'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { type FamilyCommand, type FamilyStep, FamilyWorld } from './family-world.ts'
import { newSeed } from './house.ts'

const steps: readonly FamilyStep[] = [
  'say',
  'answer',
  'answer',
  'ask',
  'end',
  'fail',
  'delegate',
  'delegate',
  'delegate',
  'delegate',
  'background',
  'recalled',
]
const which = fc.nat(9)

/** What people and agents do. */
const calm = [
  { weight: 14, arbitrary: fc.record({ do: fc.constant('run'), which: fc.constantFrom(0, 0, 0, 1, 2) }) },
  { weight: 40, arbitrary: fc.record({ do: fc.constant('step'), step: fc.constantFrom(...steps), which }) },
  { weight: 25, arbitrary: fc.record({ do: fc.constant('breathe'), ticks: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('steer', 'followup', 'verdict', 'toggle', 'look'), which }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('cancel'), which }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('hold', 'release', 'release', 'release') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete'), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart') }) },
] as const

/** And what befalls them. */
const stormy = [
  ...calm,
  { weight: 3, arbitrary: fc.record({ do: fc.constant('fault'), fault: fc.constantFrom('refused', 'unknown') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('crash') }) },
] as const

it.each([
  { weather: 'whatever people and agents do', commands: fc.oneof(...calm) },
  { weather: 'whatever fails and crashes besides', commands: fc.oneof(...stormy) },
])(
  'keeps sessions and those that work for them in step, $weather',
  async ({ commands }) => {
    const seed = newSeed('a family of sessions')
    await fc.assert(
      fc.asyncProperty(
        fc.array<FamilyCommand>(commands, { minLength: 30, maxLength: 80, size: 'max' }),
        async (all) => {
          // Commits within a few ticks, so that most of what happens happens between them.
          const store = createMemoryStore()
          await store.open()
          const world = await FamilyWorld.create(store)
          for (const one of all) await world.carryOut(one)
          await world.settle()
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 150), seed },
    )
  },
  120_000,
)
