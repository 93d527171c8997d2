import { z } from 'zod'
import { QueueState, Request, Run, SessionDetails, Snapshot } from '../../src/protocol/protocol.ts'
import { type Frame, framesOf } from '../crash/frames.ts'
import { must } from './complaint.ts'
import { Replay } from './replay.ts'
import { isAnswer, type Wire } from './wire.ts'

/** All that a client can read of a session, at one point in time. */
export interface Look {
  readonly replay: Replay
  readonly details: SessionDetails
  /** Oldest first. */
  readonly runs: readonly Run[]
  readonly open: readonly Request[]
  /** `undefined` while it never ran. */
  readonly queue: QueueState | undefined
}

/** Nothing goes on for as long in a session that rests. */
const patienceMs = 30_000

/** Reads everything, again when something was written meanwhile; complains when that does not end. */
export async function look(wire: Wire, id: string): Promise<Look> {
  const end = performance.now() + patienceMs
  for (;;) {
    const frames = await readFrames(wire, `/${id}/events?since=0&follow=false`)
    const [details, runs, open, queue] = await Promise.all([
      wire.get(`/${id}`, SessionDetails),
      wire.get(`/${id}/runs?limit=1000`, z.array(Run)),
      wire.get(`/${id}/requests`, z.array(Request)),
      wire.send('GET', `/${id}/queue`),
    ])
    const { last_event_seq } = await wire.get(`/${id}/snapshot?messages=none`, Snapshot)
    if (last_event_seq !== frames.length) {
      const text = `session ${id}: the replay has ${frames.length} events, and the snapshot tells of ${last_event_seq}`
      must(performance.now() < end, text, id)
      continue
    }
    return {
      replay: new Replay(frames),
      details,
      runs: runs.reverse(),
      open,
      queue: queue.status === 200 ? QueueState.parse(JSON.parse(queue.text)) : undefined,
    }
  }
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
