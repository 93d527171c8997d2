import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { QueuedInput, Request, Run } from '../../src/protocol/protocol.ts'
import type { SessionDiary } from './session-diary.ts'
import type { Wire } from './wire.ts'

/** Nothing takes as long: whatever is not at rest then is stuck. */
const patienceMs = 60_000
/** Between two looks while nothing is told. */
const lookEveryMs = 50

/** How a session rests: nothing goes on, or a person is asked. */
export type Rest = 'idle' | 'waiting' | 'gone'

/** Resolves when a session has come to rest; complains when it does not. */
export async function settle(wire: Wire, session: SessionDiary): Promise<Rest> {
  const end = performance.now() + patienceMs
  for (;;) {
    const { changed } = session
    const rest = await restOf(wire, session)
    if (rest !== undefined) return rest
    if (performance.now() > end) throw session.complaint(`it is stuck: ${JSON.stringify(await stateOf(wire, session))}`)
    await Promise.race([changed, delay(lookEveryMs)])
  }
}

async function restOf(wire: Wire, session: SessionDiary): Promise<Rest | undefined> {
  const state = await stateOf(wire, session)
  if (state === undefined) return 'gone'
  // A follow-up that nobody holds starts a run.
  const isQueued = state.inputs.some(({ kind, state }) => kind === 'followup' && state === 'queued')
  if (state.run?.status !== 'running') return isQueued ? undefined : 'idle'
  return state.open.length > 0 ? 'waiting' : undefined
}

interface State {
  readonly run: Run | undefined
  readonly open: readonly Request[]
  readonly inputs: readonly QueuedInput[]
}

async function stateOf(wire: Wire, { id }: SessionDiary): Promise<State | undefined> {
  const runs = await wire.send('GET', `/sessions/${id}/runs?limit=1`)
  const requests = await wire.send('GET', `/sessions/${id}/requests`)
  const inputs = await wire.send('GET', `/sessions/${id}/inputs`)
  if ([runs, requests, inputs].some(({ status }) => status === 404)) return undefined
  const [run] = z.array(Run).parse(JSON.parse(runs.text))
  const open = z.array(Request).parse(JSON.parse(requests.text))
  return { run, open, inputs: z.array(QueuedInput).parse(JSON.parse(inputs.text)) }
}
