import { z } from 'zod'
import { Count, Duration, Flag, FreeForm, optional, Text, TextMap, Texts } from './fields.ts'
import { RagConfig, ragShape } from './rag.ts'

export const ToolsetType = z.enum([
  'mcp',
  'mcp_catalog',
  'script',
  'think',
  'memory',
  'filesystem',
  'file',
  'shell',
  'background_jobs',
  'tasks',
  'plan',
  'session_plan',
  'session_context',
  'todo',
  'fetch',
  'api',
  'a2a',
  'lsp',
  'user_prompt',
  'openapi',
  'open_url',
  'model_picker',
  'background_agents',
  'scheduler',
  'rag',
  'git',
  'webhook',
  'environment',
])
export type ToolsetType = z.infer<typeof ToolsetType>

/** An MCP server that is reached over the network. */
export const Remote = z.strictObject({
  url: Text,
  transport_type: optional(Text),
  headers: optional(TextMap),
  oauth: optional(
    z.strictObject({
      clientId: optional(Text),
      clientSecret: optional(Text),
      callbackPort: optional(z.number().int().min(1).max(65535)),
      scopes: optional(Texts),
      callbackRedirectURL: optional(Text),
    }),
  ),
})
export type Remote = z.infer<typeof Remote>

export const Lifecycle = z.strictObject({
  profile: optional(z.enum(['resilient', 'strict', 'best-effort'])),
  required: optional(Flag),
  startup_timeout: optional(Duration),
  call_timeout: optional(Duration),
  restart: optional(z.enum(['never', 'on_failure', 'always'])),
  max_restarts: optional(z.number().int().min(-1)),
  backoff: optional(
    z.strictObject({
      initial: optional(Duration),
      max: optional(Duration),
      multiplier: optional(z.number().nonnegative()),
      jitter: optional(z.number().min(0).max(1)),
    }),
  ),
})
export type Lifecycle = z.infer<typeof Lifecycle>

export const ApiConfig = z.strictObject({
  name: Text,
  instruction: optional(Text),
  endpoint: Text,
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
  headers: optional(TextMap),
  args: optional(FreeForm),
  required: optional(Texts),
  output_schema: optional(FreeForm),
})
export type ApiConfig = z.infer<typeof ApiConfig>

export const WebhookConfig = z.strictObject({
  provider: optional(Text),
  url: Text,
  headers: optional(TextMap),
  chat_id: optional(Text),
})
export type WebhookConfig = z.infer<typeof WebhookConfig>

/** A tool that is a shell command; `args` are the properties of its argument schema. */
export const ScriptTool = z.strictObject({
  cmd: Text,
  description: optional(Text),
  args: optional(FreeForm),
  required: optional(Texts),
  env: optional(TextMap),
  working_dir: optional(Text),
})
export type ScriptTool = z.infer<typeof ScriptTool>

/** How long a person is waited for who is to approve a call, and whether it then runs; never when it is destructive. */
export const ApprovalExpiry = z.strictObject({
  deadline: optional(Duration),
  default: optional(z.enum(['deny', 'allow'])),
})
export type ApprovalExpiry = z.infer<typeof ApprovalExpiry>

/** The same for what a tool asks a person. */
export const ElicitationExpiry = z.strictObject({
  deadline: optional(Duration),
  default: optional(z.enum(['decline', 'cancel'])),
})
export type ElicitationExpiry = z.infer<typeof ElicitationExpiry>

const Defer = z.union([Flag, Texts])

/** What becomes of a call that was running when the server died: run again, not run again, a person decides. */
export const RerunRule = z.enum(['safe', 'never', 'ask'])
export type RerunRule = z.infer<typeof RerunRule>

const toolsetShape = {
  name: optional(Text),
  instruction: optional(Text),
  tools: optional(Texts),
  readonly: optional(Flag),
  // The map stands first: a wrong rule within it is then named by its tool.
  rerun: optional(z.union([z.record(z.string(), RerunRule), RerunRule])),
  trust_annotations: optional(Flag),
  defer: optional(Defer),
  model: optional(Text),
  toon: optional(Text),
  env: optional(TextMap),
  config: optional(z.unknown()),
  ref: optional(Text),
  command: optional(Text),
  args: optional(Texts),
  remote: optional(Remote),
  version: optional(Text),
  working_dir: optional(Text),
  lifecycle: optional(Lifecycle),
  shell: optional(z.record(z.string(), ScriptTool)),
  post_edit: optional(z.array(z.strictObject({ path: Text, cmd: Text }))),
  ignore_vcs: optional(Flag),
  allow_list: optional(Texts),
  deny_list: optional(Texts),
  path: optional(Text),
  shared: optional(Flag),
  api_config: optional(ApiConfig),
  webhook_config: optional(WebhookConfig),
  rag_config: optional(RagConfig),
  timeout: optional(Count),
  allowed_domains: optional(Texts),
  blocked_domains: optional(Texts),
  allow_private_ips: optional(Flag),
  escape_html: optional(Flag),
  headers: optional(TextMap),
  url: optional(Text),
  sudo_askpass: optional(Flag),
  recall: optional(Flag),
  file_types: optional(Texts),
  allowed_servers: optional(Texts),
  blocked_servers: optional(Texts),
  models: optional(Texts),
  safer: optional(Flag),
  approval: optional(ApprovalExpiry),
  elicitation: optional(ElicitationExpiry),
}

/** What a toolset of a type cannot do without: one of these keys. */
const needs: Partial<Record<ToolsetType, readonly (keyof typeof toolsetShape)[]>> = {
  mcp: ['command', 'remote', 'ref'],
  script: ['shell'],
  lsp: ['command'],
  api: ['api_config'],
  webhook: ['webhook_config'],
  rag: ['ref', 'rag_config'],
  a2a: ['url'],
  openapi: ['url'],
  open_url: ['url'],
  model_picker: ['models'],
}

/** A toolset of any type: one object with the keys of all, checked for those its type needs. */
export const Toolset = z.strictObject({ type: ToolsetType, ...toolsetShape }).superRefine((toolset, context) => {
  if (toolset.trust_annotations !== undefined && toolset.type !== 'mcp') {
    const message = 'is only for toolsets of type mcp'
    context.addIssue({ code: 'custom', path: ['trust_annotations'], message })
  }
  const needed = needs[toolset.type]
  if (needed === undefined || needed.some((key) => toolset[key] !== undefined)) return
  context.addIssue({ code: 'custom', message: `a toolset of type ${toolset.type} needs ${needed.join(' or ')}` })
})
export type Toolset = z.infer<typeof Toolset>

/** An MCP server defined once under `mcps`, for toolsets that name it in `ref`. */
export const McpServer = z
  .strictObject({ type: optional(z.literal('mcp')), ...toolsetShape })
  .superRefine((server, context) => {
    if (server.command ?? server.remote ?? server.ref) return
    context.addIssue({ code: 'custom', message: 'an MCP server needs command or remote or ref' })
  })
export type McpServer = z.infer<typeof McpServer>

/** A document source defined once under `rag`, for toolsets that name it in `ref`. */
export const RagSource = z.strictObject({
  type: optional(z.literal('rag')),
  name: optional(Text),
  instruction: optional(Text),
  tools: optional(Texts),
  defer: optional(Defer),
  ...ragShape,
})
export type RagSource = z.infer<typeof RagSource>
