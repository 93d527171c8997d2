import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { deltaTypes, Run } from '../../src/protocol/protocol.ts'
import { type Event, Log } from '../crash/log.ts'
import type { Fail } from './circumstances.ts'
import { type Look, readFrames } from './look.ts'
import type { Replay } from './replay.ts'
import type { Wire } from './wire.ts'

/** What is told below alone, and what is told in pieces, which come whole later. */
const untold = new Set<string>(['session_title', 'session_updated', 'session_exited', ...deltaTypes])

const Begun = z.object({ tool_call: z.object({ id: z.string(), function: z.object({ name: z.string() }) }) })
const Completed = z.object({ sub_session: z.object({ id: z.string() }) })

/** Each call that gives a task has one session, whose log is told above too; a run waits for its tasks, and their ends are told once. */
export async function checkTasks(wire: Wire, { children, runs, whole, replay }: Look, fail: Fail): Promise<void> {
  const calls = new Set(replay.events.filter(({ type }) => type === 'tool_call').flatMap(taskOf))
  if (children.length > calls.size) fail(`${[...calls]} have begun ${children}`)
  const ends = replay.events.filter(({ type }) => type === 'sub_session_completed')
  const ended = ends.map((event) => Completed.parse(event).sub_session.id)
  for (const id of children) {
    const log = new Log(await readFrames(wire, `/sessions/${id}/events?since=0&follow=false`))
    const below = told(log.events)
    const above = told(whole.events.filter(({ session_id }) => session_id === id))
    if (!isDeepStrictEqual(above, below)) fail(`of its task ${id} is told ${differences(above, below)}`)
    for (const run of await wire.get(`/sessions/${id}/runs`, z.array(Run))) {
      const waiting = runs.find(({ run_id }) => run_id === run.root_run_id)
      if (waiting === undefined) fail(`run ${run.run_id} of its task ${id} works for ${run.root_run_id}`)
      if (run.status === 'running' && waiting?.status !== 'running')
        fail(`run ${waiting?.run_id} has ended, and its task ${id} goes on`)
      const times = ended.filter((one) => one === id).length
      if (times !== (run.status === 'running' ? 0 : 1)) fail(`the end of its task ${id} was told ${times} times`)
      if (log.events.filter(({ type }) => type === 'stream_started').length !== 1) fail(`its task ${id} began again`)
    }
  }
}

/** Answers differ only in what they are about, so the calls of a run have ids of their own. */
function taskOf(event: Replay['events'][number]): readonly string[] {
  const { id, function: called } = Begun.parse(event).tool_call
  return called.name === 'transfer_task' ? [`${event.run_id} ${id}`] : []
}

/** What is the same in both logs. */
function told(events: readonly Event[]): readonly string[] {
  return events
    .filter(({ type }) => !untold.has(type))
    .map(({ type, run_id, message_id = '', reason = '' }) => `${type} ${run_id} ${message_id} ${reason}`)
}

function differences(above: readonly string[], below: readonly string[]): string {
  const place = below.findIndex((line, index) => line !== above[index])
  const [here, there] = [above, below].map((lines) => JSON.stringify(lines.slice(place < 0 ? -3 : place, place + 4)))
  return `${here}, and in it ${there}`
}
