import { expect, test } from 'vitest'
import { createStoredLog } from '../../src/event-log/event-log.ts'
import { SessionMap } from '../../src/session-manager/directory/session-map.ts'
import { Departures } from '../../src/session-manager/runs/departures.ts'
import { RunSlots } from '../../src/session-manager/runs/run-slots.ts'
import { Turnstile } from '../../src/session-manager/runs/turnstile.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { putSession, session } from '../store/records.ts'
import { patience } from './house.ts'
import { TestAgents } from './test-agents.ts'

test('A map unloads sessions soon that a client has only looked at, when they are very many', async () => {
  const store = createMemoryStore()
  await store.open()
  const ids = Array.from({ length: 1200 }, (_, n) => `s${n}`)
  await Promise.all(ids.map((id) => store.write({ session_id: id, changes: [putSession(session(id))] })))
  const map = new SessionMap({
    store,
    agents: new TestAgents({}),
    slots: new RunSlots(1),
    turnstile: new Turnstile(0),
    trials: new Turnstile(0),
    departures: new Departures(3),
    workingDir: undefined,
    ring: { events: 4, bytes: 1024 },
    fleet: createStoredLog({ bounds: () => store.fleetBounds(), read: (after) => store.fleetEvents(after) }),
    limits: { runSilenceMs: Number.POSITIVE_INFINITY, detachAfterMs: Number.POSITIVE_INFINITY },
    recovery: { recovery: 'interrupt', attempts: 3, delayMs: 0 },
    isDraining: () => false,
    isLeaving: () => false,
    onDefect: () => {},
  })
  map.startSweeping()
  const done = Promise.withResolvers<void>()
  const used = map.open('s0').visit(() => done.promise)
  for (const id of ids) await map.open(id).visit(() => {})
  expect(map.loaded).toHaveLength(1200)
  await expect.poll(() => map.loaded.map(({ id }) => id), { timeout: patience }).toEqual(['s0'])
  done.resolve()
  await used
  await map.close()
  await store.close()
})
