import { expect, it } from 'vitest'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { storeContract } from '../contracts/store.contract.ts'
import { putSession, session } from './records.ts'

storeContract('memory store', async () => {
  const store = createMemoryStore()
  await store.open()
  return { store, remove: () => {} }
})

it('shows a write only when it is committed, like every store', async () => {
  const store = createMemoryStore()
  await store.open()
  const written = store.write({ session_id: 's', changes: [putSession(session('s'))] })
  expect(store.session('s')).toBeUndefined()
  await written
  expect(store.session('s')).toBeDefined()
  await store.close()
})
