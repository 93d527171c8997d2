import { ForeignEvent, type Message, parseFrames, type Run } from '../protocol/protocol.ts'
import { settled } from './requests.ts'
import type { SessionState } from './session-state.ts'
import { interrupted, Transcript } from './transcript.ts'

const reason = 'the server stopped before the run had ended'

/**
 * Ends a run that is stored as running although nothing drives it: the process that did is gone. What it had said becomes
 * an item, its requests expire, and readers are told. Its queue stays.
 */
export function endInterruptedRun(state: SessionState, run: Run): void {
  const { recorder, around, id } = state
  const { run_id, agent_name } = run
  for (const open of around.store.requests(id, 'open')) {
    const request = settled(open, 'expired', 'restart')
    recorder.save({ kind: 'request.put', request })
    recorder.event({ type: 'request_settled', request, decider: 'restart' }, run_id)
  }
  const partial = partialOf(state, run)
  if (partial !== undefined) state.addMessage(interrupted(partial), run_id)
  state.add({
    kind: 'error',
    error: { message: reason, code: 'interrupted', agent_name, created_at: new Date().toISOString() },
  })
  recorder.event({ type: 'error', error: reason, code: 'interrupted', agent_name }, run_id)
  const last_seq = recorder.event({ type: 'stream_stopped', reason: 'interrupted', agent_name }, run_id)
  const ended: Run = {
    ...run,
    status: 'interrupted',
    reason: 'interrupted',
    last_seq,
    ended_at: new Date().toISOString(),
  }
  recorder.save({ kind: 'run.put', run: ended })
}

/** The answer that a run was writing: the deltas since its last complete message. */
function partialOf({ around, id }: SessionState, run: Run): Message | undefined {
  const transcript = new Transcript(id, [])
  let cursor = run.first_seq - 1
  for (;;) {
    const segment = around.store.events(id, cursor)
    if (segment === undefined) return transcript.partial
    for (const { seq, json } of parseFrames(segment.text)) {
      if (seq > cursor) replay(transcript, ForeignEvent.parse(JSON.parse(json)), run.run_id)
    }
    cursor = segment.last
  }
}

function replay(transcript: Transcript, event: ForeignEvent, runId: string): void {
  if (event.run_id !== runId) return
  const agent = typeof event.agent_name === 'string' ? event.agent_name : ''
  const content = typeof event.content === 'string' ? event.content : ''
  if (event.type === 'agent_choice') transcript.grow(agent, { content })
  if (event.type === 'agent_choice_reasoning') transcript.grow(agent, { reasoning: content })
  if (event.type === 'message_added') transcript.finishPartial()
}
