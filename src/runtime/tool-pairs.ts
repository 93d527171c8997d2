import type { ChatMessage, ToolCall } from '../protocol/protocol.ts'

/**
 * Providers refuse a call without a result and a result without a call. A stopped run leaves the first behind, a cut
 * history the second: calls get a result that says so, results without their call are left out.
 */
export function pairToolCalls(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  const paired: ChatMessage[] = []
  let open: readonly ToolCall[] = []
  for (const message of messages) {
    if (message.role === 'tool') {
      if (!open.some(({ id }) => id === message.tool_call_id)) continue
      open = open.filter(({ id }) => id !== message.tool_call_id)
    } else {
      paired.push(...open.map(unanswered))
      open = message.tool_calls ?? []
    }
    paired.push(message)
  }
  return [...paired, ...open.map(unanswered)]
}

function unanswered({ id }: ToolCall): ChatMessage {
  return { role: 'tool', content: 'The call was stopped before it had a result.', tool_call_id: id, is_error: true }
}
