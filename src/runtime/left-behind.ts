import { costOf } from '../models/models.ts'
import type { ToolCall, Usage } from '../protocol/protocol.ts'
import { spend } from './accounting.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import type { RuntimeEvent } from './runtime.ts'
import { charactersPerToken, usedTokens } from './token-estimate.ts'

/**
 * What a run that is taken up again has to do before it asks the model: the calls of the last answer that have no result;
 * none, when the model had stopped. `undefined`: it is the model's turn, as in a run that begins. An answer that was cut is
 * counted first, as well as that can be told.
 */
export async function* leftBehind(
  work: AgentAtWork,
): AsyncGenerator<RuntimeEvent, readonly ToolCall[] | undefined, void> {
  const { context, shared } = work
  const { resumed } = shared
  if (resumed === undefined) return undefined
  if (resumed.cut !== undefined) {
    yield* bookCut(work, resumed.cut)
    return undefined
  }
  if (resumed.calls === 0) return undefined
  const said = context.history
    .flatMap(({ message }) => message?.message ?? [])
    .filter(({ finish_reason }) => finish_reason !== 'interrupted')
  const place = said.findLastIndex(({ role }) => role === 'assistant')
  const { tool_calls = [] } = said[place] ?? {}
  const after = said.slice(place + 1)
  if (tool_calls.length === 0) return after.some(({ role }) => role === 'user') ? undefined : []
  const answered = new Set(after.map(({ tool_call_id }) => tool_call_id))
  const open = tool_calls.filter(({ id = '' }) => !answered.has(id))
  return open.length === 0 ? undefined : open
}

/** The provider has read the prompt and written this much: nobody told what that took. */
async function* bookCut(work: AgentAtWork, text: string): AsyncGenerator<RuntimeEvent, void, void> {
  const { chain, context } = work
  const model = chain.current
  const usage: Usage = {
    input_tokens: Math.round(usedTokens(context.history)),
    output_tokens: Math.ceil(text.length / charactersPerToken),
    cached_input_tokens: 0,
    cached_write_tokens: 0,
  }
  const cost = costOf(usage, model.price)
  spend(work, model, { usage, cost })
  yield { type: 'usage_spent', usage, cost }
}
