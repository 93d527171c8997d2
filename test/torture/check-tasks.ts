import { z } from 'zod'
import { Run } from '../../src/protocol/protocol.ts'
import type { Fail } from './circumstances.ts'
import type { Look } from './look.ts'
import { Replay } from './replay.ts'
import type { Wire } from './wire.ts'

const Begun = z.object({ tool_call: z.object({ id: z.string(), function: z.object({ name: z.string() }) }) })
const Completed = z.object({ sub_session: z.object({ id: z.string() }) })

/** Each call that gives a task has one session; a run waits for its tasks, and both logs tell the end of each once. */
export async function checkTasks(wire: Wire, { frames, tasks, runs, replay }: Look, fail: Fail): Promise<void> {
  const calls = new Set(replay.events.filter(({ type }) => type === 'tool_call').flatMap(taskOf))
  if (tasks.size > calls.size) fail(`${[...calls]} have begun ${[...tasks.keys()]}`)
  const ends = replay.events.filter(({ type }) => type === 'sub_session_completed')
  const ended = ends.map((event) => Completed.parse(event).sub_session.id)
  const above = new Replay(frames)
  for (const [id, log] of tasks) {
    const below = await wire.get(`/sessions/${id}/runs`, z.array(Run))
    if (below.length > 1) fail(`its task ${id} began again: ${JSON.stringify(below)}`)
    for (const { run_id, root_run_id, status } of below) {
      const waiting = runs.find((run) => run.run_id === root_run_id)
      const goesOn = status === 'running'
      if (waiting === undefined) fail(`run ${run_id} of its task ${id} works for ${root_run_id}`)
      if (goesOn && waiting?.status !== 'running') fail(`run ${root_run_id} has ended, and its task ${id} goes on`)
      const times = [
        log.count(run_id, 'stream_stopped'),
        ...(above.count(run_id, 'stream_started') > 0 ? [above.count(run_id, 'stream_stopped')] : []),
        ...(waiting?.status === 'completed' ? [ended.filter((one) => one === id).length] : []),
      ]
      if (times.some((count) => count !== (goesOn ? 0 : 1)))
        fail(`its task ${id} is ${status}, and that was told ${times} times`)
    }
  }
}

/** Answers differ only in what they are about, so the calls of a run have ids of their own. */
function taskOf(event: Replay['events'][number]): readonly string[] {
  const { id, function: called } = Begun.parse(event).tool_call
  return called.name === 'transfer_task' ? [`${event.run_id} ${id}`] : []
}
