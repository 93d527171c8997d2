import { z } from 'zod'
import { type Cursor, parseFrames, type RolledBackTool, type Run, ToolCall } from '../../protocol/protocol.ts'
import type { ItemRecord } from '../../store/store.ts'
import type { SessionState } from '../state/session-state.ts'
import { unlessDamaged } from '../unless-damaged.ts'

/**
 * Takes what a run has added out of the conversation, with the tasks that it has handed over. It stays stored, and what it has
 * cost stays counted. Answers the sessions of those tasks.
 */
export function rollBack(state: SessionState, run: Run, tools_run: readonly RolledBackTool[]): ReadonlySet<string> {
  const { recorder, log, transcript } = state
  const from = run.first_position ?? transcript.items.length
  const gone = transcript.items.slice(from)
  const messages = gone.reduce((sum, { body }) => sum + state.tally.messagesIn(body), 0)
  const message_ids = gone.flatMap((item) => messageIds(state, item))
  for (const item of transcript.rollBack(from, run.run_id)) recorder.save({ kind: 'item.put', item })
  state.tally.forgetRolledBack()
  state.tally.count({ messages: -messages })
  const { run_id, first_seq: from_seq, agent_name } = run
  const told = { from_seq, to_seq: log.head, message_ids, tools_run: [...tools_run] }
  recorder.event({ type: 'run_rolled_back', agent_name, ...told }, run_id)
  return new Set(gone.flatMap(({ body }) => (body.kind === 'sub_session' ? [body.session_id] : [])))
}

function messageIds(state: SessionState, { id, body }: ItemRecord): readonly string[] {
  if (body.rolled_back !== undefined) return []
  if (body.kind === 'message') return [id]
  if (body.kind !== 'sub_session') return []
  const { store, peek } = state.around
  const stored = () => unlessDamaged(() => store.items(body.session_id, { from: 0 })) ?? []
  const items = peek(body.session_id)?.items ?? stored()
  return items.flatMap((item) => messageIds(state, item))
}

const Called = z.looseObject({ tool_call: ToolCall })

/**
 * The tool calls that a run and its tasks have begun, as the stored log tells them: their effects stay. Models may use the id
 * of a call again, and a restart may have begun one again: each is named as often as it has begun.
 */
export function toolsRun({ storedEvents }: SessionState, run: Run): readonly RolledBackTool[] {
  const found: RolledBackTool[] = []
  let cursor: Cursor = run.first_seq - 1
  for (;;) {
    const segment = storedEvents.need(cursor)
    if (segment === undefined) return found
    for (const { seq, json } of parseFrames(segment.text)) {
      // Most events are something else, and need not be parsed.
      if (seq <= cursor || !json.startsWith('{"type":"tool_call",')) continue
      const { tool_call } = storedEvents.reading(seq, () => Called.parse(JSON.parse(json)))
      const { id: tool_call_id = '', function: called } = tool_call
      found.push({ tool_call_id, name: called.name ?? '' })
    }
    cursor = segment.last
  }
}
