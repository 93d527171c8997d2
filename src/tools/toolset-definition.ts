import type { McpDefinition } from './mcp/mcp-definition.ts'
import type { RerunDefinition } from './rerun-rule.ts'

/** A tool that is a shell command; `args` are the properties of its argument schema. */
export interface ScriptDefinition {
  readonly cmd: string
  readonly description?: string | undefined
  readonly args?: Readonly<Record<string, unknown>> | undefined
  readonly required?: readonly string[] | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly working_dir?: string | undefined
}

export interface ApiDefinition {
  readonly name: string
  readonly instruction?: string | undefined
  readonly endpoint: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly args?: Readonly<Record<string, unknown>> | undefined
  readonly required?: readonly string[] | undefined
  readonly output_schema?: Readonly<Record<string, unknown>> | undefined
}

/** What an agent file says about a toolset: the keys that the toolsets of this room read. */
export interface ToolsetDefinition extends McpDefinition, RerunDefinition {
  readonly type: string
  readonly name?: string | undefined
  readonly instruction?: string | undefined
  readonly tools?: readonly string[] | undefined
  readonly readonly?: boolean | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly shell?: Readonly<Record<string, ScriptDefinition>> | undefined
  readonly post_edit?: readonly { readonly path: string; readonly cmd: string }[] | undefined
  readonly ignore_vcs?: boolean | undefined
  readonly allow_list?: readonly string[] | undefined
  readonly deny_list?: readonly string[] | undefined
  readonly path?: string | undefined
  readonly shared?: boolean | undefined
  readonly api_config?: ApiDefinition | undefined
  /** Seconds. */
  readonly timeout?: number | undefined
  readonly allowed_domains?: readonly string[] | undefined
  readonly blocked_domains?: readonly string[] | undefined
  readonly allow_private_ips?: boolean | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly url?: string | undefined
}
