import { type ForeignEvent, Refusal, Request } from '../../protocol/protocol.ts'
import type { SessionState } from '../state/session-state.ts'
import { unlessDamaged } from '../unless-damaged.ts'

/** Tells what became of tasks that do not tell it themselves. A store that cannot be read keeps nothing from being told. */
export function tellBelow(state: SessionState, events: readonly ForeignEvent[]): void {
  for (const event of events) {
    let end: Partial<ForeignEvent> = {}
    try {
      end = storedEnd(state, event)
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal
    }
    state.recorder.foreignEvent({ ...event, ...end, timestamp: new Date().toISOString() })
  }
}

/** How it has ended, where the session below has committed that and this one has not. */
function storedEnd(
  { around }: SessionState,
  { type, session_id, run_id, request }: ForeignEvent,
): Partial<ForeignEvent> {
  if (type === 'stream_stopped') {
    const reason = unlessDamaged(() => around.store.run(String(session_id), String(run_id)))?.reason
    return reason === undefined ? {} : { reason }
  }
  const { id } = Request.parse(request)
  const stored = unlessDamaged(() => around.store.request(String(session_id), id))
  return stored === undefined || stored.state === 'open' ? {} : { request: stored, decider: stored.decider }
}
