import type { Agent } from '../agent-file/agent-file.ts'
import type { StopReason, ToolCall } from '../protocol/protocol.ts'
import { unlessAborted } from '../tools/tools.ts'
import { accountTime, accountTurn, stopsForBudget } from './accounting.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { answer } from './answer.ts'
import { isLook } from './background-toolset.ts'
import { compact } from './compaction.ts'
import { plainCall } from './description-parameter.ts'
import { leftBehind } from './left-behind.ts'
import { createLoopDetector } from './loop-detector.ts'
import type { ModelChain } from './model-chain.ts'
import { boundedItems, promptLimits } from './prompt-limits.ts'
import { RunFailure } from './run-failure.ts'
import { stopHooks } from './run-hooks.ts'
import type { RunContext, RuntimeEvent } from './runtime.ts'
import { usedTokens } from './token-estimate.ts'
import { toolBatch } from './tool-batch.ts'

const identicalBatches = 5
/** How many more model calls a person allows at a time. */
const moreCalls = 10

interface Limits {
  /** Most model calls. */
  calls: number
  /** The history is compacted when it is full; not any more once that has failed. */
  compacts: boolean
}

/** How an agent's part of a run ended; or who goes on. */
export type LoopEnd = StopReason | { readonly handoff: Agent }

/**
 * Turns until the model stops and nobody has anything to add. Steering is taken before each model call and once more
 * when the model stops, then one follow-up. What is taken is answered, so nothing is taken after the signal. `beginning` is
 * what prompt files and hooks have to say to the model.
 */
export async function* loop(
  work: AgentAtWork,
  beginning: readonly string[],
): AsyncGenerator<RuntimeEvent, LoopEnd, void> {
  try {
    return yield* turns(work, beginning)
  } catch (error) {
    yield* accountTime(work)
    throw error
  }
}

async function* turns(work: AgentAtWork, beginning: readonly string[]): AsyncGenerator<RuntimeEvent, LoopEnd, void> {
  const { agent, context, shared, signal } = work
  const settings = context.settings()
  const limits: Limits = { calls: mostCalls(work), compacts: true }
  const most = settings.max_consecutive_tool_calls || agent.max_consecutive_tool_calls || identicalBatches
  let repeats = createLoopDetector(most)
  let called: readonly ToolCall[] = []
  let offered = work.toolbox.tools.length
  let left = yield* leftBehind(work)
  for (;;) {
    signal.throwIfAborted()
    if (left === undefined) {
      if (!(yield* mayCall(work, limits))) return 'normal'
      if (yield* stopsForBudget(work)) return 'budget_exceeded'
      yield* compactInTime(work, limits)
      if (context.takeSteering().length > 0) repeats = createLoopDetector(most)
      shared.calls += 1
      const available_tools = work.toolbox.tools.length
      if (available_tools !== offered)
        yield { type: 'toolset_info', agent_name: agent.Name, available_tools, loading: false }
      offered = available_tools
    }
    const toolCalls: readonly ToolCall[] = left ?? (yield* answer(work, beginning, await readerOf(work, called)))
    left = undefined
    called = toolCalls
    if (toolCalls.length > 0) {
      yield* toolBatch(work, toolCalls)
      yield* accountTurn(work)
    }
    shared.resumed = undefined
    if (shared.handoff !== undefined) return { handoff: shared.handoff }
    if (toolCalls.length > 0) {
      if (repeats(telling(work, toolCalls))) throw loopDetected(toolCalls)
      continue
    }
    signal.throwIfAborted()
    yield* stopHooks(work)
    const next = yield* forcedHandoff(work)
    if (next !== undefined) return { handoff: next }
    if (!somethingFollows(context)) return yield* rest(work)
    // The same question again may well lead to the same call.
    repeats = createLoopDetector(most)
  }
}

/** What a person has allowed before a restart holds on. */
function mostCalls({ agent, context, shared }: AgentAtWork): number {
  const extended = shared.resumed?.extended
  if (extended?.agent === agent.Name) return extended.calls + moreCalls
  return context.settings().max_iterations || agent.max_iterations || Infinity
}

/** The models that read the results of these calls, where a toolset names one; of several the first. */
async function readerOf({ models, toolbox }: AgentAtWork, calls: readonly ToolCall[]): Promise<ModelChain | undefined> {
  const [ref] = calls.flatMap((call) => toolbox.modelOf(call.function.name ?? '') ?? [])
  return ref === undefined ? undefined : await models.chain(ref)
}

/** Asks a person whether the run may make more model calls than its limit says. */
async function* mayCall(
  { agent, context, shared, signal }: AgentAtWork,
  limits: Limits,
): AsyncGenerator<RuntimeEvent, boolean, void> {
  if (shared.calls < limits.calls) return true
  const max_iterations = limits.calls
  const agent_name = agent.Name
  if (context.settings().interactive) {
    const asked = context.ask({ content: { kind: 'continuation', max_iterations } })
    const { confirmation } = await unlessAborted(shared.stopwatch.hold(asked), signal)
    if (confirmation !== 'reject') {
      limits.calls = shared.calls + moreCalls
      return true
    }
  } else {
    yield { type: 'max_iterations_reached', agent_name, max_iterations }
  }
  const content = `I have stopped after ${shared.calls} model calls, as the limit of this run says.`
  const created_at = new Date().toISOString()
  yield { type: 'message_added', message: { agent_name, message: { role: 'assistant', content, created_at } } }
  return false
}

/** Compacts the history when somebody asked for it, or when it fills the window. */
async function* compactInTime(work: AgentAtWork, limits: Limits): AsyncGenerator<RuntimeEvent, void, void> {
  const { agent, context, compaction } = work
  const { threshold } = compaction
  const request = context.takeCompaction()
  const used = () => usedTokens(boundedItems(context.history, promptLimits(agent, context.settings())))
  const isFull = limits.compacts && threshold !== undefined && used() > threshold
  if (request === undefined && !isFull) return
  const isDone = yield* compact(work, request)
  if (isFull && !isDone) limits.compacts = false
}

/** The agent that the file makes go on when this one stops, with a note that says so. */
async function* forcedHandoff({ file, agent }: AgentAtWork): AsyncGenerator<RuntimeEvent, Agent | undefined, void> {
  const next = file.agents.find(({ Name }) => Name === agent.force_handoff)
  if (next === undefined) return undefined
  const content = `${agent.Name} has done its part. It is your turn, ${next.Name}: go on from here.`
  const created_at = new Date().toISOString()
  yield {
    type: 'message_added',
    message: { agent_name: '', message: { role: 'user', content, created_at }, implicit: true },
  }
  return next
}

/** Takes what was steered in while the model wrote its last words, or else the oldest follow-up. */
function somethingFollows(context: RunContext): boolean {
  return context.takeSteering().length > 0 || context.takeFollowUp() !== undefined
}

/** What is left to do when nobody has anything to add. */
async function* rest(work: AgentAtWork): AsyncGenerator<RuntimeEvent, StopReason, void> {
  const { agent, context, shared } = work
  const request = shared.budgets.exceeded(agent) === undefined ? context.takeCompaction() : undefined
  if (request !== undefined) {
    yield* compact(work, request)
    yield* accountTime(work)
  }
  return 'normal'
}

/** The calls that tell whether a model goes in circles: to look after a task again and again is no circle. */
function telling({ toolbox }: AgentAtWork, calls: readonly ToolCall[]): readonly ToolCall[] {
  const others = calls.filter(({ function: { name = '' } }) => !(toolbox.isOwn(name) && isLook(name)))
  return others.map((call) => plainCall(toolbox.tools, call))
}

function loopDetected(batch: readonly ToolCall[]): RunFailure {
  const names = [...new Set(batch.map((call) => call.function.name ?? ''))].join(', ')
  const message = `The model called the same tools with the same arguments again and again: ${names}.`
  return new RunFailure('loop_detected', message, { reason: 'loop_detected' })
}
