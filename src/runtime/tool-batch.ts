import type { ToolCall } from '../protocol/protocol.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { redactedCall } from './redaction.ts'
import type { RuntimeEvent } from './runtime.ts'
import { told } from './told.ts'
import { type CallOutcome, carryOut } from './tool-call.ts'
import { toolMessage } from './tool-message.ts'

/**
 * The calls of one answer, all at once. Their results are stored in the order in which the model asked, whatever came of
 * them, so that every call has one. What ends the run is thrown after that.
 */
export async function* toolBatch(
  work: AgentAtWork,
  calls: readonly ToolCall[],
): AsyncGenerator<RuntimeEvent, void, void> {
  const wanted = work.agent.redact_secrets === true ? calls.map(redactedCall) : calls
  const outcomes = yield* told<RuntimeEvent, readonly CallOutcome[]>(
    (teller, signal) => Promise.all(wanted.map((call) => carryOut({ ...work, signal }, call, teller))),
    work.signal,
  )
  const messages = outcomes.map(({ call, result, notes }) => toolMessage(work.agent.Name, call.id ?? '', result, notes))
  for (const message of messages) yield { type: 'message_added', message }
  const failed = outcomes.find(({ failure }) => failure !== undefined)
  if (failed !== undefined) throw failed.failure
}
