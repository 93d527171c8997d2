import fc from 'fast-check'
import { it } from 'vitest'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { calm, rough, stormy } from './family-commands.ts'
import { type FamilyCommand, FamilyWorld } from './family-world.ts'
import { newSeed } from './house.ts'

const weathers = [
  { weather: 'whatever people and agents do', commands: fc.oneof(...calm) },
  { weather: 'whatever fails as a whole besides', commands: fc.oneof(...rough) },
  { weather: 'whatever single commit fails besides', commands: fc.oneof(...stormy) },
]
const recoveries = ['interrupt', 'resume'] as const

it.each(weathers.flatMap((one) => recoveries.map((recovery) => ({ ...one, recovery }))))(
  'keeps sessions and those that work for them in step ($recovery), $weather',
  async ({ commands, recovery }) => {
    const seed = newSeed(`a family of sessions (${recovery})`)
    await fc.assert(
      fc.asyncProperty(
        fc.array<FamilyCommand>(commands, { minLength: 30, maxLength: 80, size: 'max' }),
        async (all) => {
          // Commits within a few ticks, so that most of what happens happens between them.
          const store = createMemoryStore()
          await store.open()
          const world = await FamilyWorld.create(store, recovery)
          for (const one of all) await world.carryOut(one)
          await world.settle()
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 150), seed },
    )
  },
  600_000,
)
