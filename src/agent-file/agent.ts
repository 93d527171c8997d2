import { z } from 'zod'
import { Commands } from './command.ts'
import { Count, Duration, Flag, FreeForm, joinTexts, optional, Safety, Text, Texts } from './fields.ts'
import { Hooks } from './hooks.ts'
import { Threshold } from './model-config.ts'
import { Toolset } from './toolset.ts'

/** Models to try after the agent's own; `retries` of -1 means none, `cooldown` is how long a fallback is kept. */
export const Fallback = z.strictObject({
  models: optional(Texts),
  retries: optional(z.number().int().min(-1)),
  cooldown: optional(Duration),
})
export type Fallback = z.infer<typeof Fallback>

const InlineSkill = z.strictObject({
  name: Text.regex(/^\S+$/, { error: 'a skill name has no spaces' }),
  description: Text,
  instructions: Text,
  context: optional(z.literal('fork')),
  model: optional(Text),
  allowed_tools: optional(Texts),
  toolsets: optional(Texts),
})

/** All skills that are found, none, or a list of sources, names and skills written out. */
export const Skills = z.union([Flag, z.array(z.union([Text, InlineSkill]))])
export type Skills = z.infer<typeof Skills>

export const StructuredOutput = z.strictObject({
  name: Text,
  description: optional(Text),
  strict: optional(Flag),
  mode: optional(z.enum(['native', 'tool'])),
  schema: FreeForm,
})
export type StructuredOutput = z.infer<typeof StructuredOutput>

const Harness = z.strictObject({
  type: z.enum(['claude-code', 'codex', 'pi', 'opencode']),
  model: optional(Text),
  effort: optional(z.enum(['low', 'medium', 'high', 'xhigh', 'max'])),
  agent: optional(Text),
  thinking: optional(Flag),
})

const Cache = z.strictObject({
  enabled: optional(Flag),
  case_sensitive: optional(Flag),
  trim_spaces: optional(Flag),
  path: optional(Text),
})

const Limit = z.number().int().min(-1)
const OneOrMore = z.union([Text, Texts])

const agentShape = {
  model: optional(Text),
  fallback: optional(Fallback),
  description: optional(Text),
  welcome_message: optional(Text),
  toolsets: optional(z.array(Toolset)),
  use_toolsets: optional(Texts),
  instruction: optional(OneOrMore.transform((text) => (typeof text === 'string' ? text : joinTexts(text)))),
  harness: optional(Harness),
  sub_agents: optional(Texts),
  handoffs: optional(Texts),
  force_handoff: optional(Text),
  code_mode_tools: optional(Flag),
  add_date: optional(Flag),
  add_environment_info: optional(Flag),
  add_prompt_files: optional(Texts),
  add_prompt_files_depth: optional(Count),
  add_description_parameter: optional(Flag),
  readonly: optional(Flag),
  safety: optional(Safety),
  redact_secrets: optional(Flag),
  max_iterations: optional(Count),
  budgets: optional(Texts),
  max_consecutive_tool_calls: optional(Count),
  max_old_tool_call_tokens: optional(Limit),
  max_tool_result_tokens: optional(Limit),
  num_history_items: optional(Count),
  session_compaction: optional(Flag),
  compaction_threshold: optional(Threshold),
  compaction_model: optional(Text),
  commands: optional(Commands),
  use_commands: optional(Texts),
  skills: optional(Skills),
  use_skills: optional(Texts),
  structured_output: optional(StructuredOutput),
  hooks: optional(Hooks),
  cache: optional(Cache),
}

/** An agent of a checked file. What is missing was not written: defaults belong to whoever runs the agent. */
export const Agent = z.strictObject({ Name: z.string().min(1), ...agentShape })
export type Agent = z.infer<typeof Agent>

/** An agent as a file writes it: its name is its key, and older keys are still known. */
export const WrittenAgent = z.strictObject({
  ...agentShape,
  instruction_file: optional(OneOrMore.transform((path) => (typeof path === 'string' ? [path] : path))),
  rag: optional(Texts),
})
export type WrittenAgent = z.infer<typeof WrittenAgent>
