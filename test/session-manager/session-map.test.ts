import { expect, test } from 'vitest'
import { SessionMap } from '../../src/session-manager/directory/session-map.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { putSession, session } from '../store/records.ts'
import { patience } from './house.ts'
import { sharedSurroundings } from './shared-surroundings.ts'

test('A map unloads sessions soon that a client has only looked at, when they are very many', async () => {
  const store = createMemoryStore()
  await store.open()
  const ids = Array.from({ length: 1200 }, (_, n) => `s${n}`)
  await Promise.all(ids.map((id) => store.write({ session_id: id, changes: [putSession(session(id))] })))
  const map = new SessionMap(sharedSurroundings(store))
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
