import { z } from 'zod'
import {
  type FleetSession,
  FleetSnapshot,
  QueuedInput,
  QueueState,
  Request,
  Run,
  SessionDetails,
  SessionSummary,
  Snapshot,
} from '../../src/protocol/protocol.ts'
import { eventOf, type Frame, framesOf } from '../crash/frames.ts'
import { must } from './complaint.ts'
import { Replay } from './replay.ts'
import type { SessionDiary } from './session-diary.ts'
import { isAnswer, type Wire } from './wire.ts'

/** All that a client can read of a session, at one point in time. */
export interface Look {
  readonly frames: readonly Frame[]
  /** What happened in it. */
  readonly replay: Replay
  /** The logs of the sessions that carried out tasks for it, by their ids. */
  readonly tasks: ReadonlyMap<string, Replay>
  /** What happened in it and in them. */
  readonly whole: Replay
  readonly details: SessionDetails
  /** Oldest first. */
  readonly runs: readonly Run[]
  readonly open: readonly Request[]
  readonly snapshot: Snapshot
  /** How it is shown over all sessions. */
  readonly fleet: FleetSession | undefined
  /** All that was ever accepted to wait. */
  readonly inputs: readonly QueuedInput[]
  /** `undefined` while it never ran. */
  readonly queue: QueueState | undefined
}

/** Nothing goes on for as long in a session that rests. */
const patienceMs = 30_000

/** Reads everything, again when something was written meanwhile, or shown to somebody; complains when that does not end. */
export async function look(wire: Wire, shown: SessionDiary): Promise<Look> {
  const { id } = shown
  const end = performance.now() + patienceMs
  for (;;) {
    const frames = await readLog(wire, id)
    const [details, runs, open, children, inputs, queue] = await Promise.all([
      wire.get(`/sessions/${id}`, SessionDetails),
      wire.get(`/sessions/${id}/runs?limit=1000`, z.array(Run)),
      wire.get(`/sessions/${id}/requests`, z.array(Request)),
      wire.get(`/sessions/${id}/children`, z.array(SessionSummary)),
      wire.get(`/sessions/${id}/inputs?state=all&limit=1000`, z.array(QueuedInput)),
      wire.send('GET', `/sessions/${id}/queue`),
    ])
    const below = await Promise.all(children.map(async (child) => [child.id, await readLog(wire, child.id)] as const))
    const { sessions } = await wire.get(`/events/snapshot?session=${id}`, FleetSnapshot)
    const fleet = sessions.find((session) => session.id === id)
    const snapshot = await wire.get(`/sessions/${id}/snapshot?messages=none`, Snapshot)
    const { last_event_seq } = snapshot
    if (![last_event_seq, fleet?.last_event_seq].every((seq) => seq === frames.length) || shown.head > frames.length) {
      const text = `session ${id}: the replay has ${frames.length} events, the snapshot tells of ${last_event_seq}, over all sessions is told of ${fleet?.last_event_seq}, and ${shown.head} was shown`
      must(performance.now() < end, text, id)
      continue
    }
    const own = frames.filter((frame) => eventOf(frame).session_id === id)
    return {
      frames,
      replay: new Replay(own),
      tasks: new Map(below.map(([task, log]) => [task, new Replay(log)])),
      whole: new Replay([...own, ...below.flatMap(([, log]) => log)]),
      details,
      runs: runs.reverse(),
      open,
      inputs,
      snapshot,
      fleet,
      queue: queue.status === 200 ? QueueState.parse(JSON.parse(queue.text)) : undefined,
    }
  }
}

function readLog(wire: Wire, id: string): Promise<Frame[]> {
  return readFrames(wire, `/sessions/${id}/events?since=0&follow=false`)
}

/** A whole replay, which ends in order. */
export async function readFrames(wire: Wire, path: string, headers: Record<string, string> = {}): Promise<Frame[]> {
  const body = await wire.open('GET', path, { headers })
  if (isAnswer(body)) throw new Error(`GET ${path} answered ${body.status} ${body.text}`)
  const frames: Frame[] = []
  const all = framesOf(body)
  for (;;) {
    const step = await all.next()
    if (!step.done) frames.push(step.value)
    else {
      must(step.value === '' && body.complete, `GET ${path} ended in the middle of a frame: ${step.value}`)
      return frames
    }
  }
}
