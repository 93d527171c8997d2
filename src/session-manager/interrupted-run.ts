import { ForeignEvent, type Message, parseFrames, Request, type Run } from '../protocol/protocol.ts'
import { settled } from './requests.ts'
import type { SessionState } from './session-state.ts'
import { interrupted, Transcript } from './transcript.ts'

const reason = 'the server stopped before the run had ended'

/**
 * Ends a run that is stored as running although nothing drives it: the process that did is gone. What it had said becomes
 * an item, its requests expire, and readers are told; also of the tasks that worked for it, which end in their own logs
 * too. Its queue stays.
 */
export function endInterruptedRun(state: SessionState, run: Run): void {
  const { recorder, around, id } = state
  const { run_id, agent_name, root_run_id } = run
  state.recount()
  const told = { ...(root_run_id === undefined ? {} : { root_run_id }) }
  for (const open of around.store.requests(id, 'open')) {
    const request = settled(open, 'expired', 'restart')
    recorder.save({ kind: 'request.put', request })
    recorder.event({ type: 'request_settled', request, decider: 'restart' }, run_id)
  }
  const { partial, below } = leftoversOf(state, run)
  for (const event of below) recorder.foreignEvent({ ...event, timestamp: new Date().toISOString() })
  if (partial !== undefined) state.addMessage(interrupted(partial), run_id)
  state.add({
    kind: 'error',
    error: { message: reason, code: 'interrupted', agent_name, created_at: new Date().toISOString() },
  })
  recorder.event({ type: 'error', error: reason, code: 'interrupted', agent_name, ...told }, run_id)
  const last_seq = recorder.event({ type: 'stream_stopped', reason: 'interrupted', agent_name, ...told }, run_id)
  const ended: Run = {
    ...run,
    status: 'interrupted',
    reason: 'interrupted',
    last_seq,
    ended_at: new Date().toISOString(),
  }
  recorder.save({ kind: 'run.put', run: ended })
}

interface Leftovers {
  /** The answer that the run was writing: the deltas since its last complete message. */
  readonly partial: Message | undefined
  /** What was begun by tasks that worked for it, and must be told to have ended. */
  readonly below: readonly ForeignEvent[]
}

function leftoversOf({ around, id }: SessionState, run: Run): Leftovers {
  const transcript = new Transcript(id, [])
  const below = new Map<string, ForeignEvent>()
  let cursor = run.first_seq - 1
  for (;;) {
    const segment = around.store.events(id, cursor)
    if (segment === undefined) return { partial: transcript.partial, below: [...below.values()].reverse() }
    for (const { seq, json } of parseFrames(segment.text)) {
      if (seq <= cursor) continue
      const event = ForeignEvent.parse(JSON.parse(json))
      if (event.session_id !== id) replayBelow(below, event)
      else if (event.run_id === run.run_id) replay(transcript, event)
    }
    cursor = segment.last
  }
}

function replay(transcript: Transcript, event: ForeignEvent): void {
  const agent = typeof event.agent_name === 'string' ? event.agent_name : ''
  const content = typeof event.content === 'string' ? event.content : ''
  if (event.type === 'agent_choice') transcript.grow(agent, { content })
  if (event.type === 'agent_choice_reasoning') transcript.grow(agent, { reasoning: content })
  if (event.type === 'message_added') transcript.finishPartial()
}

/** Keeps the end of each beginning until the end itself was told. */
function replayBelow(ends: Map<string, ForeignEvent>, event: ForeignEvent): void {
  const { type, session_id, run_id, root_run_id, agent_name } = event
  const envelope = { session_id, run_id, root_run_id, agent_name }
  const runKey = `run ${String(run_id)}`
  if (type === 'stream_started') ends.set(runKey, { type: 'stream_stopped', ...envelope, reason: 'interrupted' })
  if (type === 'stream_stopped') ends.delete(runKey)
  if (type !== 'request_opened' && type !== 'request_settled') return
  const request = Request.parse(event.request)
  const key = `request ${request.id}`
  if (type === 'request_settled') ends.delete(key)
  else
    ends.set(key, {
      type: 'request_settled',
      ...envelope,
      request: settled(request, 'expired', 'restart'),
      decider: 'restart',
    })
}
