import type { Item, Message, StopReason, ToolCall } from '../protocol/protocol.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { createLoopDetector } from './loop-detector.ts'
import { prompt } from './prompt.ts'
import { RunFailure } from './run-failure.ts'
import { stopHooks } from './run-hooks.ts'
import type { RunContext, RuntimeEvent } from './runtime.ts'
import { toolBatch } from './tool-batch.ts'
import { turn } from './turn.ts'

const identicalBatches = 5

/**
 * Turns until the model stops and nobody has anything to add. Steering is taken before each model call and once more
 * when the model stops, then one follow-up. What is taken is answered, so nothing is taken after the signal. `beginning` is
 * what hooks have to say to the model.
 */
export async function* loop(
  work: AgentAtWork,
  beginning: readonly string[],
): AsyncGenerator<RuntimeEvent, StopReason, void> {
  const { agent, context, signal } = work
  const items = [...context.history]
  const surroundings = { now: new Date(), workingDir: work.environment.workingDir, context: beginning }
  const repeats = createLoopDetector(agent.max_consecutive_tool_calls || identicalBatches)
  for (let calls = 1; ; calls++) {
    signal.throwIfAborted()
    items.push(...context.takeSteering().map(said))
    const messages = prompt(agent, { ...surroundings, instructions: work.toolbox.instructions }, items)
    const { added, toolCalls } = yield* turn({ work, messages, spent: spent(items) })
    items.push(...added)
    if (toolCalls.length > 0) {
      items.push(...(yield* toolBatch(work, toolCalls)))
      if (repeats(toolCalls)) throw loopDetected(toolCalls)
      const limit = context.settings().max_iterations || agent.max_iterations || Infinity
      if (calls < limit) continue
      yield {
        type: 'warning',
        agent_name: agent.Name,
        message: `The run ends after ${calls} model calls, as its limit says.`,
      }
      return 'normal'
    }
    signal.throwIfAborted()
    yield* stopHooks(work, items)
    const more = whatFollows(context)
    if (more.length === 0) return 'normal'
    items.push(...more.map(said))
  }
}

/** What was steered in while the model wrote its last words, or else the oldest follow-up. */
function whatFollows(context: RunContext): readonly Message[] {
  const steered = context.takeSteering()
  if (steered.length > 0) return steered
  const followUp = context.takeFollowUp()
  return followUp ? [followUp] : []
}

function loopDetected(batch: readonly ToolCall[]): RunFailure {
  const names = [...new Set(batch.map((call) => call.function.name ?? ''))].join(', ')
  return new RunFailure(
    'loop_detected',
    `The model called the same tools with the same arguments again and again: ${names}.`,
    {
      reason: 'loop_detected',
    },
  )
}

function said(message: Message): Item {
  return { message }
}

/** USD, of all answers and summaries. */
function spent(items: readonly Item[]): number {
  return items.reduce((sum, { message, cost }) => sum + (message?.message.cost ?? 0) + (cost ?? 0), 0)
}
