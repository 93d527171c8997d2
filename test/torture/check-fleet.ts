import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { checkShown } from './check-shown.ts'
import type { Fail } from './circumstances.ts'
import { must } from './complaint.ts'
import type { Diary } from './diary.ts'
import { lookAtFleet, readSnapshot } from './fleet-look.ts'
import type { Look } from './look.ts'
import type { Wire } from './wire.ts'

/** Nothing takes as long: whatever still runs then is stuck, or nobody has taken it up. */
const patienceMs = 60_000
const lookEveryMs = 50

/** Resolves when every session rests or asks a person, as is told over all of them: nobody else looks at one meanwhile. */
export async function settleFleet(wire: Wire): Promise<void> {
  const end = performance.now() + patienceMs
  for (;;) {
    const { sessions } = await readSnapshot(wire)
    const waiting = new Set(sessions.flatMap(({ id, status }) => (status === 'waiting_for_person' ? id : [])))
    // A task may wait for what a person is asked above.
    const busy = sessions.find(({ status, above = [] }) => status === 'running' && !above.some((id) => waiting.has(id)))
    if (busy === undefined) return
    must(performance.now() < end, `nobody looks at session ${busy.id}, and it stays ${JSON.stringify(busy)}`, busy.id)
    await delay(lookEveryMs)
  }
}

/** What readers were shown is there, the newest that was told of each session is that session, and those are all that are there. */
export async function checkFleet(wire: Wire, { fleet, sessions }: Diary): Promise<void> {
  const seen = await lookAtFleet(wire, fleet)
  const fail = (text: string): never => {
    throw fleet.complaint(text)
  }
  checkShown(fleet, seen.frames, fail)
  for (const frame of seen.frames) fleet.show(frame)
  for (const [id, { type, session }] of seen.newest) {
    const now = seen.sessions.get(id)
    const told = type === 'session_deleted' ? undefined : session
    if (!isDeepStrictEqual(told, now))
      fail(`of ${id} was told ${JSON.stringify(told)}, and it is ${JSON.stringify(now)}`)
  }
  for (const { id, deletion } of sessions) {
    if (deletion === 'no' && !seen.sessions.has(id)) fail(`session ${id} is missing`)
    if (deletion === 'told' && seen.sessions.has(id)) fail(`session ${id} was deleted, but it is there`)
  }
  for (const id of seen.sessions.keys()) if (!seen.newest.has(id)) fail(`session ${id} was never told of`)
}

/** A session that rests is what was told of it over all sessions. */
export function checkTold(seen: Look, fail: Fail): void {
  const { fleet, details, snapshot, runs, open } = seen
  if (fleet === undefined) throw fail('nothing is told of it over all sessions')
  const run = runs.at(-1)
  const running = run?.status === 'running' ? run.run_id : undefined
  const is = {
    title: details.title,
    starred: details.starred,
    run_id: running,
    status: open.length > 0 ? 'waiting_for_person' : running === undefined ? 'idle' : 'running',
    open_requests: open.map(({ id }) => id).sort(),
    input_tokens: details.input_tokens,
    output_tokens: details.output_tokens,
    cost: snapshot.cost,
  }
  const { title, starred, run_id, status, open_requests, input_tokens, output_tokens, cost } = fleet
  const told = {
    title,
    starred,
    run_id,
    status,
    open_requests: open_requests.toSorted(),
    input_tokens,
    output_tokens,
    cost,
  }
  if (!isDeepStrictEqual(told, is))
    fail(`over all sessions was told ${JSON.stringify(told)}, and it is ${JSON.stringify(is)}`)
}
