import { RedactedToolset } from './redacted-toolset.ts'
import { LimitedToolset } from './result-limit.ts'
import type { ToolEnvironment, Toolset } from './tools.ts'

/** A toolset whose results are fit to be told. Secrets go first: a cut could leave a half of one. */
export function limited(toolset: Toolset, { redactSecrets = false }: ToolEnvironment): Toolset {
  return new LimitedToolset(redactSecrets ? new RedactedToolset(toolset) : toolset)
}
