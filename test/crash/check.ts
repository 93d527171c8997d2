import { expect } from 'vitest'
import { z } from 'zod'
import {
  FleetEvent,
  QueueState,
  type Recovery,
  Run,
  SessionDetails,
  SessionStatus,
  SessionSummary,
} from '../../src/protocol/protocol.ts'
import { checkRun } from './check-run.ts'
import { type Client, isAnswer } from './client.ts'
import { eventOf, type Frame, framesOf } from './frames.ts'
import { Log } from './log.ts'
import type { SessionWitness } from './session-witness.ts'
import type { Witness } from './witness.ts'

/** Checks that exactly those sessions are there that must be, with their titles. */
export async function checkSessions(client: Client, witness: Witness): Promise<void> {
  const listed = await client.get('', z.array(SessionSummary))
  for (const { id, title } of listed) {
    const session = witness.find(id) ?? witness.found(id, title)
    expect(session, `session ${id} (${title}) is there, but nobody asked for it`).toBeDefined()
    expect(session?.deletion, `session ${id} was deleted, but it is there`).not.toBe('told')
    expect(session?.titles, `title of session ${id}`).toContain(title)
    session?.seeTitle(title)
    if (session !== undefined) session.deletion = 'no'
  }
  const ids = new Set(listed.map(({ id }) => id))
  for (const session of witness.sessions) {
    if (ids.has(session.id)) continue
    expect(session.deletion, `session ${session.id} was created, but it is not there`).not.toBe('no')
    session.deletion = 'told'
  }
}

/** Checks that what was told over all sessions is told again, and that it knows which of them there are. */
export async function checkFleet(client: Client, { fleet, sessions }: Witness): Promise<void> {
  const frames = await readFrames(client, '/events?children=true&since=0&follow=false')
  checkWhole(frames, 'all sessions')
  checkFrames(frames, fleet)
  for (const frame of frames) fleet.show(frame)
  const newest = new Map<string, FleetEvent>()
  for (const frame of frames) {
    const event = FleetEvent.parse(eventOf(frame))
    newest.set(event.session.id, event)
  }
  for (const { id, deletion } of sessions) {
    expect(newest.get(id)?.type === 'session_deleted', `the fleet tells that session ${id} is gone`).toBe(
      deletion === 'told',
    )
  }
}

/** Checks that nothing is left of a session that was deleted. */
export async function checkGone(client: Client, { id }: SessionWitness): Promise<void> {
  for (const path of ['', '/snapshot', '/events?follow=false', '/runs', '/requests']) {
    expect((await client.send('GET', `/${id}${path}`)).status, `GET ${path} of ${id}, which was deleted`).toBe(404)
  }
}

/** Checks that a session that has come to rest is as clients were told; `recovery` as its servers were told. */
export async function checkSession(
  client: Client,
  session: SessionWitness,
  recovery: Recovery = 'resume',
): Promise<void> {
  const log = await readLog(client, session)
  checkShown(log, session)
  await checkRest(client, session, log)
  await checkTranscript(client, session, log)
  await checkRuns(client, session, log, recovery)
  await checkQueue(client, session, log)
  for (const frame of log.frames) session.show(frame)
}

/** Checks that a reader that comes back gets what it has not seen, and nothing else. */
export async function checkResume(client: Client, session: SessionWitness, cursor: number): Promise<void> {
  const whole = await readLog(client, session)
  const rest = await readFrames(client, `/${session.id}/events?follow=false`, { 'last-event-id': String(cursor) })
  expect(rest, `what follows ${cursor} in session ${session.id}`).toEqual(whole.frames.slice(cursor))
}

async function readLog(client: Client, session: SessionWitness): Promise<Log> {
  const frames = await readFrames(client, `/${session.id}/events?since=0&follow=false`)
  checkWhole(frames, `session ${session.id}`)
  return new Log(frames)
}

function checkWhole(frames: readonly Frame[], of: string): void {
  const seqs = frames.map(({ seq }) => seq)
  expect(seqs, `seqs of ${of}`).toEqual(frames.map((_, index) => index + 1))
}

async function readFrames(client: Client, path: string, headers: Record<string, string> = {}): Promise<Frame[]> {
  const body = await client.stream('GET', path, { headers })
  if (isAnswer(body)) throw new Error(`GET ${path} answered ${body.status} ${body.text}`)
  const frames: Frame[] = []
  const all = framesOf(body)
  for (;;) {
    const step = await all.next()
    if (!step.done) frames.push(step.value)
    else if (step.value === '') return frames
    else throw new Error(`GET ${path} ended in the middle of a frame: ${step.value}`)
  }
}

/** Every frame that anybody saw is there, byte for byte and under its seq; also the beginnings of frames. */
function checkShown(log: Log, session: SessionWitness): void {
  const { id } = session
  checkFrames(log.frames, session)
  for (const { seq, partial } of session.snapshots) {
    expect(log.frames.length, `a snapshot of session ${id} told this seq`).toBeGreaterThanOrEqual(seq)
    expect(log.partialAt(seq), `what a snapshot of session ${id} told, at seq ${seq}`).toBe(partial)
  }
  session.snapshots.length = 0
}

function checkFrames(frames: readonly Frame[], { id, frames: shown, torn }: SessionWitness): void {
  for (const [seq, bytes] of shown) {
    if (frames[seq - 1]?.bytes !== bytes) expect(frames[seq - 1]?.bytes, `frame ${seq} of "${id}"`).toBe(bytes)
  }
  for (const { seq, bytes } of torn) {
    if (frames[seq - 1]?.bytes.startsWith(bytes) === true) continue
    expect(frames[seq - 1]?.bytes, `frame ${seq} of "${id}", shown in part`).toBe(`${bytes}…`)
  }
  torn.length = 0
}

async function checkRest(client: Client, { id, titles }: SessionWitness, log: Log): Promise<void> {
  const [title] = titles
  if (log.title !== undefined) expect(title, `title of session ${id} and the last that its log tells`).toBe(log.title)
  expect(await client.get(`/${id}/requests`, z.array(z.unknown())), `open requests of session ${id}`).toEqual([])
  if (log.runIds.length === 0) return
  const { streaming } = await client.get(`/${id}/status`, SessionStatus)
  expect(streaming, `session ${id} runs`).toBe(false)
}

async function checkTranscript(client: Client, { id }: SessionWitness, log: Log): Promise<void> {
  const { messages = [] } = await client.get(`/${id}`, SessionDetails)
  expect(
    messages.map((message) => message.id),
    `messages of session ${id}, and those that its log tells of`,
  ).toEqual(log.messageIds)
}

async function checkRuns(client: Client, session: SessionWitness, log: Log, recovery: Recovery): Promise<void> {
  const runs = await client.get(`/${session.id}/runs?limit=1000`, z.array(Run))
  expect(runs.map(({ run_id }) => run_id).reverse(), `runs of session ${session.id}`).toEqual(log.runIds)
  for (const run of runs) checkRun(run, log, { recovery, stopAsked: session.stopAsked })
  for (const { run_id, first_seq } of session.runs) {
    const run = runs.find((one) => one.run_id === run_id)
    expect(run?.first_seq, `run ${run_id} of session ${session.id}, which was told to have started`).toBe(first_seq)
  }
}

/** What was accepted is in the conversation once, or in its queue; what was refused is in neither. */
async function checkQueue(client: Client, session: SessionWitness, log: Log): Promise<void> {
  for (const { text, kind, outcome, answer } of session.said) {
    const deliveries = log.deliveries(text)
    const most = outcome === 'refused' ? 0 : 1
    const least = outcome === 'accepted' && kind === 'run' ? 1 : 0
    expect(deliveries, `deliveries of "${text}", answered ${answer}`).toBeLessThanOrEqual(most)
    expect(deliveries, `deliveries of "${text}", answered ${answer}`).toBeGreaterThanOrEqual(least)
  }
  if (log.runIds.length === 0) return
  const queue = await client.get(`/${session.id}/queue`, QueueState)
  for (const kind of ['steer', 'followup'] as const) {
    const missing = session.said.filter((said) => said.kind === kind && log.deliveries(said.text) === 0)
    const accepted = missing.filter(({ outcome }) => outcome === 'accepted').length
    const unknown = missing.filter(({ outcome }) => outcome === 'unknown').length
    expect(queue[kind].depth, `queue of ${kind} in session ${session.id}`).toBeGreaterThanOrEqual(accepted)
    expect(queue[kind].depth, `queue of ${kind} in session ${session.id}`).toBeLessThanOrEqual(accepted + unknown)
  }
}
