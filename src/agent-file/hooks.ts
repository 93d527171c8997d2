import { z } from 'zod'
import { Flag, optional, Text, TextMap, Texts } from './fields.ts'

/** What is run when a hook fires. `command` is a shell command or the name of a built-in; `timeout` counts seconds. */
export const Hook = z
  .strictObject({
    name: optional(Text),
    type: z.enum(['command', 'builtin', 'model']),
    command: optional(Text),
    args: optional(Texts),
    timeout: optional(z.number().int().positive()),
    env: optional(TextMap),
    working_dir: optional(Text),
    on_error: optional(z.enum(['warn', 'ignore', 'block'])),
    model: optional(Text),
    prompt: optional(Text),
    schema: optional(Text),
  })
  .superRefine((hook, context) => {
    const needed = hook.type === 'model' ? (['model', 'prompt'] as const) : (['command'] as const)
    for (const key of needed) {
      if (hook[key] === undefined) context.addIssue({ code: 'custom', message: `a ${hook.type} hook needs ${key}` })
    }
  })
export type Hook = z.infer<typeof Hook>

/** Hooks for the tools whose name fits `matcher` (a regular expression, or `*`). */
export const ToolHook = z.strictObject({
  matcher: optional(Text),
  hooks: z.array(Hook),
  preempt_yolo: optional(Flag),
})
export type ToolHook = z.infer<typeof ToolHook>

const onTool = optional(z.array(ToolHook))
const on = optional(z.array(Hook))

/** Hooks by the event they wait for; those of tool events have matchers. */
export const Hooks = z.strictObject({
  pre_tool_use: onTool,
  post_tool_use: onTool,
  permission_request: onTool,
  tool_response_transform: onTool,
  tool_input_transform: onTool,
  tool_guard: onTool,
  session_start: on,
  session_end: on,
  user_prompt_submit: on,
  user_steering_messages_submit: on,
  user_followup_submit: on,
  turn_start: on,
  turn_end: on,
  before_llm_call: on,
  after_llm_call: on,
  on_tool_approval_decision: on,
  stop: on,
  subagent_stop: on,
  pre_compact: on,
  before_compaction: on,
  after_compaction: on,
  on_user_input: on,
  notification: on,
  on_error: on,
  on_max_iterations: on,
  on_session_resume: on,
  on_agent_switch: on,
  worktree_create: on,
})
export type Hooks = z.infer<typeof Hooks>
