import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { makeTempDir } from '../store/temp-dir.ts'
import { LogModel } from './log-model.ts'
import { LogProcess } from './log-process.ts'
import type { RingLimits } from './log-under-test.ts'

/** One step of what happens to a log. Places are parts of the log's length, so that they mean something at any time. */
type Step =
  | { readonly do: 'append'; readonly sizes: readonly number[] }
  | { readonly do: 'tick' | 'commit' | 'hold' | 'lag' | 'cut' | 'pull' }
  | { readonly do: 'read'; readonly since: number | 'all' | 'invalid' | 'ahead' | 'on'; readonly pages: number }
  | { readonly do: 'filter'; readonly since: number }
  | { readonly do: 'retain'; readonly keep: number }
  | { readonly do: 'crash'; readonly reopen: boolean }

const size = fc.oneof(
  { weight: 10, arbitrary: fc.integer({ min: 0, max: 100 }) },
  { weight: 3, arbitrary: fc.integer({ min: 1000, max: 20_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.constant(300_000) },
)
const place = fc.nat(100).map((percent) => percent / 100)
const since = fc.oneof(place, fc.constantFrom('all' as const, 'on' as const, 'invalid' as const, 'ahead' as const))
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('append'), sizes: fc.array(size, { minLength: 1, maxLength: 8 }) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constantFrom('tick', 'commit', 'commit', 'hold', 'lag', 'cut', 'pull', 'pull') }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read'), since, pages: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('filter'), since: place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('retain'), keep: fc.integer({ min: 1, max: 20 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('crash'), reopen: fc.integer({ max: 15, min: 0 }).map((n) => n === 0) }),
  },
)
const ring = fc.record({
  events: fc.integer({ min: 1, max: 12 }),
  bytes: fc.constantFrom(1, 2000, 100_000, 10_000_000),
})

/** What was found once. */
const examples: [RingLimits, Step[]][] = [
  [
    // Retention removes what is committed and not published yet: a reader was told of a gap beyond the head.
    { events: 1, bytes: 1 },
    [
      { do: 'append', sizes: [300_000, 0] },
      { do: 'lag' },
      { do: 'retain', keep: 1 },
      { do: 'read', since: 0, pages: 1 },
      { do: 'read', since: 'on', pages: 1 },
      { do: 'tick' },
      { do: 'retain', keep: 1 },
      { do: 'append', sizes: [1000] },
    ],
  ],
  [
    // What is published while a filter searches is shown too.
    { events: 1, bytes: 1 },
    [
      { do: 'append', sizes: [0, 300_000, 1000] },
      { do: 'tick' },
      { do: 'append', sizes: [54, 0] },
      { do: 'retain', keep: 1 },
      { do: 'append', sizes: [66_219] },
      { do: 'filter', since: 0.06 },
    ],
  ],
]

/** What the model cannot tell is random here too: which of the groups that a crash meets are committed. */
describe('the log, its recorder and a SQLite file', () => {
  const { path, remove } = makeTempDir()
  const open = async (): Promise<Store> => {
    const store = createSqliteStore({ path: join(path, 'log.db') })
    await store.open()
    return store
  }
  let store: Store
  let sessions = 0

  beforeAll(async () => {
    store = await open()
  })
  afterAll(async () => {
    await store.close()
    remove()
  })

  const reopened = async (): Promise<Store> => {
    await store.close()
    store = await open()
    return store
  }

  it('agree with a model under appends, reads, cuts, retention and crashes (L1, L3, L4)', async () => {
    const run = fc.asyncProperty(ring, fc.array(step, { minLength: 3, maxLength: 30 }), async (ring, steps) => {
      sessions += 1
      const model = new LogModel()
      let process = await LogProcess.create(`s${sessions}`, ring, store, model)
      for (const step of steps) {
        if (step.do === 'crash') {
          await process.crash()
          process = await process.next(step.reopen ? await reopened() : store)
        } else await carryOut(process, step)
      }
      await process.end()
    })
    await fc.assert(run, { numRuns: 500, examples })
  }, 600_000)
})

async function carryOut(process: LogProcess, step: Exclude<Step, { do: 'crash' }>): Promise<void> {
  switch (step.do) {
    case 'append':
      return process.append(step.sizes)
    case 'read':
      return process.read(step.since, step.pages)
    case 'filter':
      return process.filter(step.since)
    case 'retain':
      return process.retain(step.keep)
    default:
      return process[step.do]()
  }
}
