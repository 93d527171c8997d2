import { spendingOf, type Usage } from '../../protocol/protocol.ts'
import type { RuntimeEvent } from '../../runtime/runtime.ts'
import type { SessionState } from '../state/session-state.ts'
import type { ActiveRun } from './active-run.ts'

/** Writes down what a run tells: what it changes in the session, and the event itself into the log. */
export function recordEvent(state: SessionState, run: ActiveRun, event: RuntimeEvent): void {
  run.activity.take(event)
  run.safePoint.note(event)
  run.openCalls.note(event)
  if (event.type === 'tool_call_response') state.requests.endCall(event.tool_call_id)
  // Whatever was open has been asked again by now, or never will be.
  const isAsked = event.type === 'agent_info' || run.safePoint.isAnswering
  if (run.past !== undefined && isAsked) state.requests.expireOrphans('asker_gone', () => true)
  switch (event.type) {
    case 'asked_again':
      return
    case 'time_spent':
      state.tally.count({ spent: { cost: 0, tokens: 0, elapsed_seconds: event.seconds } })
      return
    case 'usage_spent':
      spend(state, run, event.usage, event.cost)
      state.tally.count({ cost: event.cost })
      return
    case 'message_added': {
      if (event.message.message.role === 'assistant') state.transcript.finishPartial()
      const { usage, cost = 0 } = event.message.message
      if (usage !== undefined) spend(state, run, usage, cost)
      state.addMessage(event.message, run.id)
      return
    }
    case 'agent_choice':
      state.transcript.grow(event.agent_name ?? '', { content: event.content })
      break
    case 'agent_choice_reasoning':
      state.transcript.grow(event.agent_name ?? '', { reasoning: event.content })
      break
    case 'token_usage':
      state.update({ input_tokens: event.usage.input_tokens, output_tokens: event.usage.output_tokens })
      break
    case 'agent_switching':
      if (!event.switching && event.to_agent !== undefined) state.switchAgent(event.to_agent)
      break
    case 'session_title':
      if (state.record.title !== '') return
      state.update({ title: event.title })
      break
    case 'session_compaction':
      if (event.status === 'completed') state.endCompaction()
      break
    case 'session_summary': {
      const { type: _, agent_name: __, ...summary } = event
      if (summary.usage !== undefined) spend(state, run, summary.usage, summary.cost ?? 0)
      state.add({ kind: 'summary', summary })
      break
    }
    case 'budget_exceeded': {
      const { type: _, agent_name: __, ...exceeded } = event
      state.add({ kind: 'termination', termination: { ...exceeded, reason: 'budget_exceeded' } })
      state.update({ paused: exceeded })
      break
    }
  }
  state.recorder.event(event, run.id)
}

function spend(state: SessionState, run: ActiveRun, usage: Usage, cost: number): void {
  run.spend(usage, cost)
  // So that what it has spent is known wherever it goes on.
  state.recorder.save({ kind: 'run.put', run: run.state })
  state.tally.count({ spent: spendingOf(usage, cost) })
}
