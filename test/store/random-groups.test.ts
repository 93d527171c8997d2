import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Change, FleetFilter, Group, Store } from '../../src/store/store.ts'
import {
  events,
  input,
  instant,
  item,
  key,
  putFleet,
  putSession,
  replay,
  request,
  run,
  session,
  shown,
  tell,
} from './records.ts'
import { tempDir } from './temp-dir.ts'

const letters = ['a', 'b', 'c'] as const
const n = fc.nat(3)
const text = fc.string({ unit: 'grapheme' })
const kinds: readonly Change['kind'][] = [
  'session.put',
  'item.put',
  'run.put',
  'input.put',
  'request.put',
  'key.put',
  'session.delete',
  'fleet.put',
  'fleet.append',
]
const plan = fc.record({
  kind: fc.constantFrom<Change['kind']>(...kinds, 'events.append', 'events.append'),
  n,
  text,
  yes: fc.boolean(),
})
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never

const group = fc.record({ letter: fc.constantFrom(...letters), plans: fc.array(plan, { maxLength: 4 }) })
/** What is handed over in one tick is one batch for either store. */
const ticks = fc.array(fc.array(group, { maxLength: 4 }), { maxLength: 8 })

function changeOf(id: string, source: string, { kind, n, text, yes }: Plan, heads: Map<string, number>): Change {
  switch (kind) {
    case 'session.put': {
      const agent = { source, name: 'root' }
      return putSession(session(id, { agent, title: text, starred: yes, created_at: instant(n) }))
    }
    case 'session.delete':
      return { kind }
    case 'item.put':
      return { kind, item: item(id, n, text) }
    case 'run.put':
      return { kind, run: run(id, `r${n}`, { agent: text, status: yes ? 'running' : 'completed' }) }
    case 'input.put':
      return { kind, input: { ...input(id, `i${n}`, yes ? 'queued' : 'delivered'), message: { content: text } } }
    case 'request.put':
      return { kind, request: request(id, `q${n}`, yes ? 'open' : 'answered') }
    case 'key.put':
      return { kind, key: key(id, `k${n}`, instant(n)) }
    case 'fleet.put':
      return putFleet(shown(id, { title: text, ...(yes ? { parent_id: 'above' } : {}) }))
    case 'fleet.append':
      return tell('session_progress', shown(id, { title: text }))
    case 'events.append': {
      const first = (heads.get(id) ?? 0) + 1
      heads.set(id, first + n)
      return events(first, first + n, { text: `${text}${first}-${first + n};` })
    }
  }
}

/** All pages of a fleet. The text of a cursor is the store's own affair, so the pages are told without it. */
function fleetPages(store: Store, filter: FleetFilter) {
  const pages = [store.fleetSessions(filter)]
  for (let cursor = pages[0]?.next; cursor !== undefined; cursor = pages.at(-1)?.next) {
    pages.push(store.fleetSessions({ ...filter, cursor }))
  }
  return pages.map(({ entries, head }) => ({ entries, head }))
}

/** Everything that a store can be asked about the sessions of one run of the property. */
function view(store: Store, ids: readonly string[], source: string) {
  const running = store.unfinishedRuns().map(({ session_id, run_id }) => `${session_id}/${run_id}`)
  return {
    sessions: store.sessions({ limit: 2, agent: source }),
    starred: store.sessions({ limit: 9, agent: source, starred: true, q: 'a' }),
    fleet: store.fleetBounds(),
    shown: [
      fleetPages(store, { limit: 2, agent: source, children: true }),
      fleetPages(store, { limit: 1, agent: source }),
      ...ids.map((id) => fleetPages(store, { limit: 9, session: id })),
    ],
    running: running.filter((name) => name.startsWith(source)).sort(),
    each: ids.map((id) => ({
      session: store.session(id),
      shown: store.fleetSession(id),
      items: store.items(id, { from: 0 }),
      newest: store.items(id, { last: 2 }),
      runs: store.runs(id, { limit: 2 }),
      inputs: store.inputs(id),
      allInputs: store.allInputs(id, { limit: 9 }).entries,
      requests: store.requests(id, 'all'),
      open: store.requests(id, 'open'),
      keys: [0, 1, 2, 3].map((n) => store.key(id, `k${n}`)),
      bounds: store.bounds(id),
      replay: replay(store, id),
    })),
  }
}

it('leaves the same behind on disk as in memory, also after reopening (S1, S2, S3, S4, S5)', {
  timeout: 600_000,
}, async () => {
  const path = join(tempDir(), 'test.db')
  const inMemory = createMemoryStore()
  let onDisk = createSqliteStore({ path })
  await Promise.all([inMemory.open(), onDisk.open()])
  let runs = 0
  const property = fc.asyncProperty(ticks, fc.nat(49), async (plannedTicks, reopen) => {
    const source = `run-${++runs}-`
    const ids = letters.map((letter) => `${source}${letter}`)
    const heads = new Map<string, number>()
    for (const planned of plannedTicks) {
      const groups = planned.map(({ letter, plans }): Group => {
        const session_id = `${source}${letter}`
        return { session_id, changes: plans.map((one) => changeOf(session_id, source, one, heads)) }
      })
      const write = (store: Store) => Promise.allSettled(groups.map((one) => store.write(one)))
      const [expected, actual] = await Promise.all([write(inMemory), write(onDisk)])
      expect(actual.map(({ status }) => status)).toEqual(expected.map(({ status }) => status))
      expect(view(onDisk, ids, source)).toEqual(view(inMemory, ids, source))
    }
    if (reopen === 1) {
      await onDisk.close()
      onDisk = createSqliteStore({ path })
      await onDisk.open()
      expect(view(onDisk, ids, source)).toEqual(view(inMemory, ids, source))
    }
  })
  try {
    await fc.assert(property, { numRuns: 500 })
  } finally {
    await Promise.all([inMemory.close(), onDisk.close()])
  }
})
