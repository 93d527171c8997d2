import type { Tool, ToolCall, ToolCallResult } from '../protocol/protocol.ts'
import { assess, safetyMetadata, unlessAborted } from '../tools/tools.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { unknownEffect } from './tool-message.ts'

/** What the model reads of a call that had begun and cannot be carried out again. */
export const cutCall: ToolCallResult = { output: unknownEffect, isError: true }

/** Whether a call had begun when its process left the run. */
export function hadBegun({ shared: { resumed } }: AgentAtWork, { id = '' }: ToolCall): boolean {
  return resumed?.begun.has(id) === true
}

/**
 * What the model reads of a call that had begun when its process left the run, by the rule of its tool. `undefined`: it is
 * carried out like any other.
 */
export async function resumedCall(
  work: AgentAtWork,
  call: ToolCall,
  tool: Tool,
  args: unknown,
): Promise<ToolCallResult | undefined> {
  if (!hadBegun(work, call)) return undefined
  const rule = work.toolbox.rerunRule(tool.name)
  if (rule === 'safe' || (rule === 'ask' && (await mayRunAgain(work, call, tool, args)))) return undefined
  return cutCall
}

/** By a deadline no call is run again: that nobody minded its beginning says nothing of a second time. */
async function mayRunAgain(
  { context, shared, signal, toolbox }: AgentAtWork,
  call: ToolCall,
  tool: Tool,
  args: unknown,
): Promise<boolean> {
  if (!context.settings().interactive) return false
  const reason = `${unknownEffect} Shall it run again?`
  const content = {
    kind: 'approval',
    tool_call: call,
    tool_definition: tool,
    metadata: { ...safetyMetadata(assess(tool, args)), interrupted: 'true', reason },
  } as const
  const expiry = { afterMs: toolbox.expiryOf(tool.name, 'approval')?.afterMs }
  const { confirmation } = await unlessAborted(shared.stopwatch.hold(context.ask({ content, expiry })), signal)
  return confirmation !== 'reject'
}
