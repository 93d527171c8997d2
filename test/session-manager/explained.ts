import { expect } from 'vitest'
import { Explanation, Refusal } from '../../src/protocol/protocol.ts'
import type { SessionManager } from '../../src/session-manager/session-manager.ts'

/** An explanation says what the snapshot and the open requests of the same breath say, and never leaves a run unexplained (M6). */
export async function checkExplained(manager: SessionManager, id: string): Promise<void> {
  const reads = [manager.explainSession(id), manager.getSessionSnapshot(id), manager.getRequests(id)] as const
  const [explained, snapshot, requests] = await Promise.allSettled(reads)
  if (explained.status === 'rejected') {
    // Who is told nothing of the session is told nothing of why.
    expect(explained.reason).toBeInstanceOf(Refusal)
    return
  }
  const told = Explanation.parse(explained.value)
  expect(told.run_id !== undefined).toBe(going.has(told.state))
  if (told.run_id !== undefined) expect(Math.min(told.activities.length, told.ends_when.length)).toBeGreaterThan(0)
  expect(told.ends_when).not.toEqual([])
  if (snapshot.status === 'fulfilled') {
    expect(told.run_id).toBe(snapshot.value.run_id)
    if (told.state === 'paused') expect(snapshot.value.paused).toBeDefined()
  }
  if (requests.status === 'fulfilled') {
    const own = told.activities.filter(({ kind, session_id }) => kind === 'person' && session_id === id)
    expect(own.map(({ request_id }) => request_id)).toEqual(requests.value.map((request) => request.id))
    if (requests.value.length > 0) expect(told.state).toBe('waiting_for_person')
  }
}

const going: ReadonlySet<string> = new Set(['running', 'waiting_for_person', 'stopping', 'recovering'])
