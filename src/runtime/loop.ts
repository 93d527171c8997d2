import type { Agent } from '../agent-file/agent-file.ts'
import type { LanguageModel } from '../models/models.ts'
import type { Item, Message, StopReason, ToolCall } from '../protocol/protocol.ts'
import { createLoopDetector } from './loop-detector.ts'
import { prompt } from './prompt.ts'
import { RunFailure } from './run-failure.ts'
import type { RunContext, RuntimeEvent } from './runtime.ts'
import { turn } from './turn.ts'

const identicalBatches = 5

/** Who runs, with which model, and for whom. */
export interface LoopInput {
  readonly agent: Agent
  readonly model: LanguageModel
  readonly context: RunContext
  readonly signal: AbortSignal
}

/**
 * Turns until the model stops and nobody has anything to add. Steering is taken before each model call and once more
 * when the model stops, then one follow-up. What is taken is answered, so nothing is taken after the signal.
 */
export async function* loop(input: LoopInput): AsyncGenerator<RuntimeEvent, StopReason, void> {
  const { agent, model, context, signal } = input
  const items = [...context.history]
  const surroundings = { now: new Date(), workingDir: context.settings().working_dir }
  const repeats = createLoopDetector(agent.max_consecutive_tool_calls || identicalBatches)
  for (let calls = 1; ; calls++) {
    signal.throwIfAborted()
    items.push(...context.takeSteering().map(said))
    const messages = prompt(agent, surroundings, items)
    const { added, toolCalls } = yield* turn({ agent, model, messages, spent: spent(items), signal })
    items.push(...added)
    if (toolCalls.length > 0) {
      for (const call of toolCalls) items.push(yield* answerCall(agent, call))
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

/** A call of a tool that nobody offered gets an answer that the model can act on. */
async function* answerCall(agent: Agent, call: ToolCall): AsyncGenerator<RuntimeEvent, Item, void> {
  const agent_name = agent.Name
  const name = call.function.name ?? ''
  const output = `There is no tool called "${name}". Go on without it.`
  yield {
    type: 'tool_call_response',
    agent_name,
    tool_call_id: call.id ?? '',
    tool_definition: { name, category: '', parameters: {}, annotations: {}, outputSchema: null },
    response: output,
    result: { output, isError: true },
  }
  const created_at = new Date().toISOString()
  const message: Message = {
    agent_name,
    message: { role: 'tool', content: output, tool_call_id: call.id ?? '', is_error: true, created_at },
  }
  yield { type: 'message_added', message }
  return { message }
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
