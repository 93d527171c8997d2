import type { HookContext, HookEvent } from './hook.ts'

/** What a hook reads: one JSON object, with the names that hooks written for the ancestor know. */
export function hookInput(event: HookEvent, { sessionId, agentName, environment }: HookContext) {
  return {
    session_id: sessionId,
    cwd: environment.workingDir,
    hook_event_name: event.name,
    agent_name: agentName,
    ...details(event),
  }
}

function details(event: HookEvent): Readonly<Record<string, unknown>> {
  switch (event.name) {
    case 'session_start':
      return { source: event.source }
    case 'user_prompt_submit':
      return { prompt: event.prompt }
    case 'stop':
      return { stop_response: event.response, last_user_message: event.lastUserMessage }
    case 'post_tool_use':
      return { ...toolUse(event), tool_response: event.response, tool_error: event.isError }
    default:
      return toolUse(event)
  }
}

function toolUse({ tool, callId, args }: Extract<HookEvent, { readonly args: unknown }>) {
  return {
    tool_name: tool.name,
    tool_use_id: callId,
    tool_input: args ?? {},
    tool_category: tool.category,
    tool_read_only: tool.annotations.readOnlyHint ?? false,
  }
}
