import type { Tool, ToolCall, ToolCallResult } from '../protocol/protocol.ts'
import { unlessAborted } from '../tools/tools.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { unknownEffect } from './tool-message.ts'

/**
 * What the model reads of a call that had begun when its process left the run, by the rule of its tool. `undefined`: it is
 * carried out like any other.
 */
export async function resumedCall(work: AgentAtWork, call: ToolCall, tool: Tool): Promise<ToolCallResult | undefined> {
  const { resumed } = work.shared
  if (resumed?.begun.has(call.id ?? '') !== true) return undefined
  const rule = work.toolbox.rerunRule(tool.name)
  if (rule === 'safe' || (rule === 'ask' && (await mayRunAgain(work, call, tool)))) return undefined
  return { output: unknownEffect, isError: true }
}

async function mayRunAgain({ context, shared, signal }: AgentAtWork, call: ToolCall, tool: Tool): Promise<boolean> {
  if (!context.settings().interactive) return false
  const reason = `${unknownEffect} Shall it run again?`
  const content = {
    kind: 'approval',
    tool_call: call,
    tool_definition: tool,
    metadata: { interrupted: 'true', reason },
  } as const
  const { confirmation } = await unlessAborted(shared.stopwatch.hold(context.ask({ content })), signal)
  return confirmation !== 'reject'
}
