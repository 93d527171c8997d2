import type { Toolset } from '../agent-file/agent-file.ts'
import { parseDuration } from '../protocol/protocol.ts'
import type { Expiry } from './runtime.ts'

/** What the agent file says about the questions that the calls of a toolset lead to. */
export type AskingRules = Pick<Toolset, 'approval' | 'elicitation'>

/** How long a question about a call, or of one, waits for its answer, as far as the agent file says so. */
export function questionExpiry(rules: AskingRules, kind: keyof AskingRules): Expiry | undefined {
  const said = rules[kind]
  if (said === undefined) return undefined
  return { afterMs: said.deadline === undefined ? undefined : parseDuration(said.deadline), answer: said.default }
}
