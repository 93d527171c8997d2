import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { SessionSummary } from '../../src/protocol/protocol.ts'
import { utterancesIn } from '../crash/log.ts'
import { checkCalls, checkQuestions } from './check-calls.ts'
import { checkTold } from './check-fleet.ts'
import { checkInputs } from './check-inputs.ts'
import { checkRuns } from './check-runs.ts'
import { checkShown } from './check-shown.ts'
import { checkTasks } from './check-tasks.ts'
import type { Circumstances, Fail } from './circumstances.ts'
import { must } from './complaint.ts'
import type { Diary } from './diary.ts'
import { type Look, look, readFrames } from './look.ts'
import type { SessionDiary } from './session-diary.ts'
import type { Wire } from './wire.ts'

/** Checks that exactly those sessions are there that must be, with their titles. */
export async function checkSessions(wire: Wire, diary: Diary): Promise<void> {
  const listed = await wire.get('/sessions', z.array(SessionSummary))
  for (const { id, title } of listed) {
    const session = diary.find(id) ?? diary.found(id, title)
    must(session !== undefined, `session ${id} (${title}) is there, but nobody asked for it`)
    must(session.deletion !== 'told', `session ${id} was deleted, but it is there`, id)
    must(session.title.see(title), `session ${id} has the title ${title} and may have ${session.title.values}`, id)
    session.deletion = 'no'
  }
  const ids = new Set(listed.map(({ id }) => id))
  for (const session of diary.sessions) {
    if (ids.has(session.id)) continue
    must(session.deletion !== 'no', `session ${session.id} was created, but it is not there`, session.id)
    session.deletion = 'told'
  }
}

/** Checks that nothing is left of a session that was deleted. */
export async function checkGone(wire: Wire, { id }: SessionDiary): Promise<void> {
  for (const path of ['', '/snapshot', '/events?follow=false', '/runs', '/requests']) {
    const { status } = await wire.send('GET', `/sessions/${id}${path}`)
    must(status === 404, `GET ${path} of ${id}, which was deleted, answered ${status}`, id)
  }
}

/** Checks that a session is as clients were told. `cursor` is where a reader stood. */
export async function checkSession(
  wire: Wire,
  session: SessionDiary,
  circumstances: Circumstances,
  cursor: number,
): Promise<void> {
  const seen = await look(wire, session)
  const fail = (text: string): never => {
    throw session.complaint(text)
  }
  checkShown(session, seen.frames, fail)
  for (const frame of seen.frames) session.show(frame)
  const rest = await readFrames(wire, `/sessions/${session.id}/events?follow=false`, {
    'last-event-id': String(cursor),
  })
  const same = rest.map(({ bytes }) => bytes).join('')
  const whole = seen.frames.slice(cursor, cursor + rest.length)
  if (cursor > 0 && same !== whole.map(({ bytes }) => bytes).join('')) fail(`what follows ${cursor} is not what it was`)
  checkSettings(session, seen, fail)
  checkTold(seen, fail)
  checkTranscript(seen, fail)
  checkRuns(session, seen, circumstances, fail)
  checkInputs(session, seen, circumstances, fail)
  checkQuestions(session, seen, circumstances, fail)
  checkCalls(session, seen, circumstances, fail)
  await checkTasks(wire, seen, fail)
}

function checkSettings(session: SessionDiary, { details, replay }: Look, fail: Fail): void {
  const { title, starred, permissions } = details
  if (!session.title.see(title)) fail(`the title is ${title} and may be ${session.title.values}`)
  if (!session.starred.see(starred)) fail(`starred is ${starred} and may be ${session.starred.values}`)
  const allowed = permissions?.allow?.[0] ?? ''
  if (!session.allowed.see(allowed)) fail(`${allowed} is allowed and may be ${session.allowed.values}`)
  if (replay.title !== undefined && replay.title !== title)
    fail(`the title is ${title}, and was told as ${replay.title}`)
}

/** The transcript is what the log tells, and each answer what its pieces were. */
function checkTranscript({ details, replay, tasks }: Look, fail: Fail): void {
  const told = replay.messageIds.filter((id) => !replay.rolledBack.has(id))
  // With its task leaves whatever it still adds: one that was cut closes its open calls when it is taken up.
  const staying = [...tasks.values()].filter(({ messageIds: [task = ''] }) => !replay.rolledBack.has(task))
  const ofTasks = staying.flatMap((log) => log.messageIds)
  const all = (details.messages ?? []).map(({ id = '' }) => id)
  const forgotten = ofTasks.filter((id) => !all.includes(id))
  const ids = all.filter((id) => !ofTasks.includes(id))
  if (forgotten.length > 0) fail(`the transcript lacks ${forgotten} of its tasks`)
  const lost = told.filter((id) => !ids.includes(id))
  const untold = ids.filter((id) => !told.includes(id))
  if (lost.length + untold.length > 0) fail(`the transcript lacks ${lost}, and the log does not tell of ${untold}`)
  if (!isDeepStrictEqual(ids, told)) fail(`the transcript is ${ids}, and the log has ${told}`)
  for (const runId of replay.runIds) {
    for (const { text, reasoning, message } of utterancesIn(replay.eventsOf(runId))) {
      if (message === undefined) continue
      const { content, reasoning_content } = message
      if (content !== text || reasoning_content !== reasoning) {
        fail(
          `an answer of run ${runId} was told as "${reasoning}" "${text}" and is "${reasoning_content}" "${content}"`,
        )
      }
    }
  }
}
