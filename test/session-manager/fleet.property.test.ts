import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Store } from '../../src/store/store.ts'
import { makeTempDir } from '../store/temp-dir.ts'
import { Dashboard, freshView } from './dashboard.ts'
import { stormy } from './family-commands.ts'
import { type FamilyCommand, FamilyWorld } from './family-world.ts'
import { newSeed } from './house.ts'

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

/** What happens between two commands: the dashboard draws a page of its snapshot or reads on, and is cut off. */
const glance = fc.record({ looks: fc.boolean(), most: fc.nat(3) })

it('shows whoever has a snapshot and the tail what a snapshot shows, whatever happens and is cut', async () => {
  const seed = newSeed('a fleet')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.oneof(...stormy), glance), { minLength: 20, maxLength: 60, size: 'max' }),
      async (all: readonly (readonly [FamilyCommand, { readonly looks: boolean; readonly most: number }])[]) => {
        const world = await FamilyWorld.create(store, 'interrupt')
        const dashboard = new Dashboard(store)
        let next = dashboard.draw(1)
        for (const [command, { looks, most }] of all) {
          await world.carryOut(command)
          if (!looks) continue
          if (next === undefined) dashboard.read(most)
          else next = dashboard.draw(1, next)
        }
        await world.settle()
        while (next !== undefined) next = dashboard.draw(9, next)
        dashboard.catchUp()
        expect(dashboard.view).toEqual(freshView(store))
        for (const { id, last_event_seq, status, open_requests, cost, title } of dashboard.view) {
          const record = store.session(id)
          expect({ status, open_requests, cost, title }).toEqual({
            status: 'idle',
            open_requests: [],
            cost: record?.cost,
            title: record?.title,
          })
          expect(last_event_seq).toBe(store.bounds(id).head)
        }
        // What is left need not be drawn by the worlds that follow.
        for (const { id } of dashboard.view)
          await store.write({ session_id: id, changes: [{ kind: 'session.delete' }] })
      },
    ),
    { numRuns: Number(process.env.RUNS ?? 100), seed },
  )
}, 600_000)
