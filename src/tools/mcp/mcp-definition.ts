/** How long a toolset waits, and what it does when its server is gone. Durations are written as Go writes them. */
export interface LifecycleDefinition {
  readonly profile?: 'resilient' | 'strict' | 'best-effort' | undefined
  readonly required?: boolean | undefined
  readonly startup_timeout?: string | undefined
  readonly call_timeout?: string | undefined
  readonly restart?: 'never' | 'on_failure' | 'always' | undefined
  readonly max_restarts?: number | undefined
  readonly backoff?:
    | {
        readonly initial?: string | undefined
        readonly max?: string | undefined
        readonly multiplier?: number | undefined
        readonly jitter?: number | undefined
      }
    | undefined
}

/** A server that is reached over the network. */
export interface RemoteDefinition {
  readonly url: string
  /** `streamable` (also `streamable-http`) or `sse`; without it, `streamable`. */
  readonly transport_type?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly oauth?: object | undefined
}

/**
 * An MCP server as an agent file describes it: a command, or a place in the network. Texts may hold `${env.NAME}`;
 * `env` and `working_dir` also `${NAME}` and `$NAME`, headers also `${headers.NAME}`.
 */
export interface McpDefinition {
  readonly name?: string | undefined
  readonly command?: string | undefined
  readonly args?: readonly string[] | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly working_dir?: string | undefined
  readonly ref?: string | undefined
  readonly remote?: RemoteDefinition | undefined
  readonly lifecycle?: LifecycleDefinition | undefined
}
