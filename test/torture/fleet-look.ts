import { FleetEvent, type FleetSession, FleetSnapshot } from '../../src/protocol/protocol.ts'
import { eventOf, type Frame } from '../crash/frames.ts'
import { must } from './complaint.ts'
import type { LogDiary } from './log-diary.ts'
import { readFrames } from './look.ts'
import type { Wire } from './wire.ts'

/** All that is told over all sessions, at one point in time. Nothing of it makes the server open a session. */
export interface FleetLook {
  readonly frames: readonly Frame[]
  /** What was told last of each session, by its id. */
  readonly newest: ReadonlyMap<string, FleetEvent>
  readonly sessions: ReadonlyMap<string, FleetSession>
}

/** Nothing goes on for as long when every session rests. */
const patienceMs = 30_000
/** Pages of the snapshot are shorter than it is. */
const pageLength = 7

/** Reads everything, again when something was told meanwhile, or shown to somebody; complains when that does not end. */
export async function lookAtFleet(wire: Wire, shown: LogDiary): Promise<FleetLook> {
  const end = performance.now() + patienceMs
  for (;;) {
    const { sessions, next_since } = await readSnapshot(wire)
    const frames = await readFrames(wire, '/events?since=0&follow=false&children=true')
    if (frames.length === next_since && shown.head <= frames.length) {
      const events = frames.map((frame) => FleetEvent.parse(eventOf(frame)))
      const newest = new Map(events.map((event) => [event.session.id, event]))
      return { frames, newest, sessions: new Map(sessions.map((session) => [session.id, session])) }
    }
    const text = `${frames.length} events are told over all sessions, the snapshot goes on after ${next_since}, and ${shown.head} was shown`
    must(performance.now() < end, text)
  }
}

/** Every page of the snapshot. */
export async function readSnapshot(wire: Wire): Promise<FleetSnapshot> {
  const sessions: FleetSession[] = []
  let path: string | undefined = `/events/snapshot?children=true&limit=${pageLength}`
  for (let next_since = 0; ; ) {
    const { status, text, next } = await wire.send('GET', path)
    must(status === 200, `GET ${path} answered ${status} ${text}`)
    const page = FleetSnapshot.parse(JSON.parse(text))
    sessions.push(...page.sessions)
    next_since = page.next_since
    if (next === undefined) return { sessions, next_since }
    path = next
  }
}
