import { createHash } from 'node:crypto'
import type { AgentSummary } from '../protocol/protocol.ts'
import type { AgentFile } from './agent-file-schema.ts'

/** One version of an agent file. The object stays the same as long as the content does. */
export interface LoadedAgentFile {
  readonly key: string
  readonly file: AgentFile
  /** A hash of the content, instruction files included. */
  readonly version: string
  /** The directory of the file; `undefined` for one that came from a URL. */
  readonly baseDir: string | undefined
}

/**
 * The agent files a server serves, each under its key. `list` and `get` never touch the network: a URL is fetched when
 * the sources are created, by `refresh`, and on its interval.
 */
export interface AgentSources {
  /** Sorted by name; a file that was never usable is there too, with its error. */
  list(): readonly AgentSummary[]
  /** Throws `unknown_agent`, `invalid_agent_file` (never usable) or `agent_source_unavailable`. */
  get(key: string): LoadedAgentFile
  /** Fetches a URL again. Failing is not thrown but shown by `list`. Files need no refresh. */
  refresh(): Promise<void>
  /** Ends the interval and a fetch that goes on. What was loaded stays readable. */
  close(): Promise<void>
}

export function versionOf(text: string, file: AgentFile): string {
  return createHash('sha256').update(text).update(JSON.stringify(file)).digest('hex').slice(0, 16)
}
