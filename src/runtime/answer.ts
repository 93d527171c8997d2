import type { ToolCall } from '../protocol/protocol.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { compact } from './compaction.ts'
import type { ModelChain } from './model-chain.ts'
import { prompt } from './prompt.ts'
import { promptLimits } from './prompt-limits.ts'
import { RunFailure } from './run-failure.ts'
import type { RuntimeEvent } from './runtime.ts'
import { type TurnInput, turn } from './turn.ts'

/**
 * Lets the model, or for this once another, answer the conversation as it is now. A history that does not fit is compacted
 * and tried once more. Returns the tools that the model wants called.
 */
export async function* answer(
  work: AgentAtWork,
  beginning: readonly string[],
  chain: ModelChain = work.chain,
): AsyncGenerator<RuntimeEvent, readonly ToolCall[], void> {
  const { agent } = work
  const ask = () => turn({ work, chain, prompt: promptFor(work, beginning) })
  try {
    return yield* ask()
  } catch (error) {
    const isTooLong = error instanceof RunFailure && error.code === 'context_exceeded'
    if (!isTooLong || agent.session_compaction === false) throw error
    const message = 'The conversation is too long for the model, so its older part is replaced by a summary.'
    yield { type: 'warning', agent_name: agent.Name, message }
    if (!(yield* compact(work, { isTooLong: true }))) throw error
    return yield* ask()
  }
}

function promptFor(work: AgentAtWork, beginning: readonly string[]): TurnInput['prompt'] {
  const { agent, context, environment, shared, toolbox } = work
  const warning = shared.budgets.warning(agent)
  const surroundings = {
    now: new Date(),
    workingDir: environment.workingDir,
    context: [...beginning, ...(warning === undefined ? [] : [warning])],
    team: toolbox.rules,
    instructions: toolbox.instructions,
    limits: promptLimits(agent, context.settings()),
  }
  return prompt(agent, surroundings, context.history)
}
