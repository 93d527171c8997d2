import type { ElicitationAnswer, Tool, ToolCall, ToolCallResult, Verdict } from '../protocol/protocol.ts'
import {
  type CallContext,
  type CallInQuestion,
  type Decision,
  decide,
  decisionHooks,
  readFields,
  reconsider,
  redactText,
  runHooks,
  unlessAborted,
} from '../tools/tools.ts'
import { type AgentAtWork, hookContext } from './agent-at-work.ts'
import { shownArguments, withoutDescription } from './description-parameter.ts'
import { cutCall, hadBegun, resumedCall } from './resumed-call.ts'
import { RunFailure } from './run-failure.ts'
import type { RuntimeEvent } from './runtime.ts'
import type { Teller } from './told.ts'

/** Events that may wait for their reader before live output is left out; the result repeats it. */
const mostWaiting = 256

/** How a call ended. */
export interface CallOutcome {
  readonly call: ToolCall
  readonly result: ToolCallResult
  /** What hooks add to the result, for the model. */
  readonly notes?: readonly string[] | undefined
  /** The run ends after the batch: what it fails with. */
  readonly failure?: unknown
}

type Tell = Teller<RuntimeEvent>['tell']

/**
 * One call from the model's wish to its result: found, read, decided, carried out. Never throws: a defect is a failure.
 * Nothing starts before that it starts is safe: no restart makes a call happen twice that must not.
 */
export async function carryOut(work: AgentAtWork, call: ToolCall, teller: Teller<RuntimeEvent>): Promise<CallOutcome> {
  const { tell } = teller
  const known = work.shared.resumed?.begun.get(call.id ?? '')
  if (known !== undefined) return { call, result: known }
  const name = call.function.name ?? ''
  const tool = work.toolbox.tools.find((candidate) => candidate.name === name)
  // That it cannot be called now says nothing of what it did before the restart.
  const orCut = (refused: ToolCallResult): ToolCallResult => (hadBegun(work, call) ? cutCall : refused)
  if (tool === undefined) return answer(work, call, unknownTool(name), orCut(failed(missing(name, work))), tell)
  const read = readFields(tool.parameters, call.function.arguments)
  if (!read.ok) return answer(work, call, tool, orCut(read.result), tell)
  try {
    const resumed = await resumedCall(work, call, tool, read.args)
    if (resumed !== undefined) return answer(work, call, tool, resumed, tell)
    const decision = await decideCall(work, call, tool, withoutDescription(tool, read.args), tell)
    if (decision.refusal !== undefined) return answer(work, call, tool, orCut(failed(decision.refusal)), tell)
    return await run(work, call, tool, decision.args, teller)
  } catch (failure) {
    if (work.signal.aborted) {
      return answer(work, call, tool, failed('The call was stopped before it ended: the run was stopped.'), tell)
    }
    const defect = failed('The call failed because of a defect in the server.')
    return { ...answer(work, call, tool, defect, tell), failure }
  }
}

interface Decided {
  readonly args: unknown
  /** What the model is told instead of a result. */
  readonly refusal: string | undefined
}

async function decideCall(work: AgentAtWork, call: ToolCall, tool: Tool, args: unknown, tell: Tell): Promise<Decided> {
  const question = (): CallInQuestion => questionOf(work, tool, args)
  const hooks = decisionHooks(work.agent.hooks ?? {}, tool, call.id ?? '', hookContext(work, tell))
  const decision = await decide(question(), hooks)
  if (decision.source === 'pre_tool_use_hook_deny') {
    const message = decision.reason ?? 'a hook denied it'
    tell({ type: 'hook_blocked', agent_name: work.agent.Name, tool_call: call, tool_definition: tool, message })
  }
  if (decision.outcome !== 'ask') {
    return { args: decision.args, refusal: decision.outcome === 'deny' ? refusalOf(decision) : undefined }
  }
  let later: Decision | undefined
  const asked = work.context.ask({
    content: {
      kind: 'approval',
      tool_call: { ...call, function: { name: tool.name, arguments: shownArguments(tool, call, decision.args) } },
      tool_definition: tool,
      metadata: decision.metadata,
    },
    decide: () => {
      later = reconsider(question(), decision)
      return verdictOf(later)
    },
    expiry: work.toolbox.expiryOf(tool.name, 'approval'),
  })
  const verdict = await unlessAborted(work.shared.stopwatch.hold(asked), work.signal)
  if (verdict.confirmation !== 'reject') return { args: decision.args, refusal: undefined }
  return { args: decision.args, refusal: later === undefined ? rejectionOf(verdict) : refusalOf(later) }
}

function questionOf({ context, file }: AgentAtWork, tool: Tool, args: unknown): CallInQuestion {
  const { permissions, safety_policy: policy, interactive } = context.settings()
  return { tool, args, policy, interactive, permissions: { session: permissions, team: file.permissions ?? {} } }
}

function verdictOf(decision: Decision | undefined): Verdict | undefined {
  if (decision === undefined) return undefined
  return { confirmation: decision.outcome === 'allow' ? 'approve' : 'reject', reason: decision.reason }
}

function refusalOf({ reason }: Decision): string {
  return `The call was not allowed${reason === undefined ? '.' : `: ${reason}`}`
}

function rejectionOf({ reason }: Verdict): string {
  return `The user rejected the call${reason === undefined || reason === '' ? '.' : `: ${reason}`}`
}

async function run(
  work: AgentAtWork,
  call: ToolCall,
  tool: Tool,
  args: unknown,
  { tell, taken }: Teller<RuntimeEvent>,
): Promise<CallOutcome> {
  const called = { ...call, function: { name: tool.name, arguments: shownArguments(tool, call, args) } }
  tell({ type: 'tool_call', agent_name: work.agent.Name, tool_call: called, tool_definition: tool })
  await taken()
  await work.context.committed()
  work.signal.throwIfAborted()
  const result = await work.toolbox.call(tool.name, args, callContext(work, call, tool, tell))
  const outcome = answer(work, call, tool, result, tell)
  if (work.toolbox.isOwn(tool.name)) return outcome
  return { ...outcome, ...(await afterwards(work, { tool, callId: call.id ?? '', args }, result, tell)) }
}

/** What hooks have to say about a call that has ended. */
async function afterwards(
  work: AgentAtWork,
  call: { readonly tool: Tool; readonly callId: string; readonly args: unknown },
  { output, isError = false }: ToolCallResult,
  tell: Tell,
): Promise<Pick<CallOutcome, 'notes' | 'failure'>> {
  try {
    const event = { name: 'post_tool_use', ...call, response: output, isError } as const
    const after = await runHooks(work.agent.hooks ?? {}, event, hookContext(work, tell))
    const clean = work.agent.redact_secrets === true ? redactText : (note: string) => note
    if (after.decision !== 'deny') return { notes: after.additionalContext.map(clean) }
    const reason = after.reason ?? 'a post_tool_use hook ended the run'
    return { failure: new RunFailure('hook_blocked', reason, { reason: 'hook_blocked' }) }
  } catch (failure) {
    return work.signal.aborted ? {} : { failure }
  }
}

/** Nobody answers where nobody can be asked. */
const declined: ElicitationAnswer = { action: 'decline' }

function callContext(
  { agent, context, shared, signal, toolbox }: AgentAtWork,
  call: ToolCall,
  tool: Tool,
  tell: Tell,
): CallContext {
  let waiting = 0
  return {
    callId: call.id ?? '',
    signal,
    headers: context.headers,
    output: (output) => {
      const event = { type: 'tool_call_output', agent_name: agent.Name, tool_call_id: call.id ?? '' } as const
      waiting = waiting > mostWaiting ? waiting - 1 : tell({ ...event, tool_definition: tool, output })
    },
    elicit: async (question) => {
      if (!context.settings().interactive) return declined
      const expiry = toolbox.expiryOf(tool.name, 'elicitation')
      const asker = call.id ? { tool_call_id: call.id } : {}
      const answer = context.ask({ content: { kind: 'elicitation', ...asker, ...question }, expiry })
      return await unlessAborted(shared.stopwatch.hold(answer), signal)
    },
  }
}

function answer({ agent }: AgentAtWork, call: ToolCall, tool: Tool, result: ToolCallResult, tell: Tell): CallOutcome {
  tell({
    type: 'tool_call_response',
    agent_name: agent.Name,
    tool_call_id: call.id ?? '',
    tool_definition: tool,
    response: result.output,
    result,
  })
  return { call, result }
}

function failed(output: string): ToolCallResult {
  return { output, isError: true }
}

function missing(name: string, { toolbox }: AgentAtWork): string {
  const names = toolbox.tools.map((tool) => tool.name)
  return `There is no tool called "${name}". ${names.length === 0 ? 'There are no tools.' : `There are: ${names.join(', ')}.`}`
}

function unknownTool(name: string): Tool {
  return { name, category: '', parameters: {}, annotations: {}, outputSchema: null }
}
