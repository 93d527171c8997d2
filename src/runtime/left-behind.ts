import type { Agent } from '../agent-file/agent-file.ts'
import { costOf } from '../models/models.ts'
import type { Message, ToolCall, Usage } from '../protocol/protocol.ts'
import { accountTurn, spend } from './accounting.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { handoffName, handoffTarget } from './handoff-toolset.ts'
import type { RuntimeEvent } from './runtime.ts'
import { charactersPerToken, usedTokens } from './token-estimate.ts'

/**
 * What a run that is taken up again has to do before it asks the model: the calls of the last answer that have no result;
 * none, when the model had stopped or has handed the conversation over. `undefined`: it is the model's turn, as in a run that begins. An answer that was cut is
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
    .flatMap(({ message }) => message ?? [])
    .filter(({ message }) => message.finish_reason !== 'interrupted')
  const place = said.findLastIndex(({ message }) => message.role === 'assistant')
  const answer = said[place]
  const after = said.slice(place + 1)
  const results = new Map(after.map(({ message }) => [message.tool_call_id, message.is_error !== true]))
  const { tool_calls = [] } = answer?.message ?? {}
  const open = tool_calls.filter(({ id = '' }) => !results.has(id))
  for (const [id, result] of resumed.begun) if (result !== undefined) results.set(id, result.isError !== true)
  if (answer?.agent_name === work.agent.Name) shared.handoff = nextAgent(work, tool_calls, results, after)
  if (open.length > 0 || shared.handoff !== undefined) return open
  return tool_calls.length > 0 || after.some(({ message }) => message.role === 'user') ? undefined : []
}

/** Who was to go on with the conversation, and has not been told so yet. */
function nextAgent(
  { agent, file, toolbox }: AgentAtWork,
  calls: readonly ToolCall[],
  results: ReadonlyMap<string | undefined, boolean>,
  after: readonly Message[],
): Agent | undefined {
  const call = calls.find(({ id, function: { name = '' } }) => {
    return name === handoffName && toolbox.isOwn(name) && results.get(id) === true
  })
  const isForced = calls.length === 0 && after.some(({ implicit }) => implicit === true)
  const name = call === undefined ? isForced && agent.force_handoff : handoffTarget(call)
  return file.agents.find(({ Name }) => Name === name)
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
  yield* accountTurn(work)
}
