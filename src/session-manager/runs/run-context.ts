import type { RunContext, Runtime } from '../../runtime/runtime.ts'
import type { SessionState } from '../state/session-state.ts'
import type { ActiveRun } from './active-run.ts'

/** What a run may know of its session and do to it. */
export function runContext(
  state: SessionState,
  run: ActiveRun,
  runtime: Runtime,
  given: Pick<RunContext, 'tasks' | 'headers'>,
): RunContext {
  const { record } = state
  return {
    signal: run.signal,
    get history() {
      return state.transcript.history
    },
    modelOf: (agent) => state.record.agent_model_overrides?.[agent],
    conversation: state.id,
    resumed: run.past,
    committed: () => state.recorder.settled(),
    untitled: record.title === '' && record.parent_id === undefined,
    settings: () => ({
      safety_policy: state.record.safety_policy ?? '',
      permissions: state.record.permissions ?? {},
      working_dir: state.record.working_dir ?? state.around.workingDir,
      max_iterations: state.record.max_iterations,
      max_consecutive_tool_calls: state.record.max_consecutive_tool_calls,
      max_old_tool_call_tokens: state.record.max_old_tool_call_tokens,
      max_tool_result_tokens: state.record.max_tool_result_tokens,
      interactive: state.record.non_interactive !== true,
      budget: state.record.budget,
    }),
    spent: () => state.tally.spent,
    get cost() {
      return state.record.cost
    },
    ...given,
    takeCompaction: () => (run.signal.aborted ? undefined : state.takeCompaction()),
    // A run that is stopped, or over, takes nothing: what waits is for the next one.
    takeSteering: () =>
      run.signal.aborted ? [] : state.queue.takeSteering(run.id).map((input) => state.deliver(input, run.id)),
    takeFollowUp: () => {
      const input = run.signal.aborted ? undefined : state.queue.takeFollowUp(run.id, state.answering)
      return input === undefined ? undefined : state.deliver(input, run.id)
    },
    ask: (question) => {
      const asker = { id: run.id, agent: state.record.agent?.name ?? runtime.agent, signal: run.signal }
      const answer = state.requests.ask(question, asker)
      // A runtime that leaves without waiting for its answer must not take the process along.
      answer.catch(() => {})
      return answer
    },
  }
}
