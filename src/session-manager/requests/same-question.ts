import { isDeepStrictEqual } from 'node:util'
import type { RequestContent } from '../../protocol/protocol.ts'

/** Whether a run that is taken up again asks what it has asked before: about the same call or attempt, or in the same words. */
export function isSameQuestion(stored: RequestContent, asked: RequestContent): boolean {
  if (stored.kind === 'approval' && asked.kind === 'approval' && asked.tool_call.id) {
    return stored.tool_call.id === asked.tool_call.id && isAboutRerun(stored) === isAboutRerun(asked)
  }
  // Why it was left is another thing when the process has died again before anybody has answered.
  if (stored.kind === 'recovery' && asked.kind === 'recovery') return stored.attempt === asked.attempt
  return isDeepStrictEqual(plain(stored), plain(asked))
}

/** Whether it asks if a call may run once more that a restart has interrupted: who let it run has not said so. */
export function isAboutRerun(content: RequestContent): boolean {
  return content.kind === 'approval' && content.metadata?.interrupted !== undefined
}

/** The tool call that a question is about, or that asks it. */
export function callOf(content: RequestContent): string | undefined {
  if (content.kind === 'approval') return content.tool_call.id
  return content.kind === 'elicitation' ? content.tool_call_id : undefined
}

/** As it is stored: without keys that say nothing. */
function plain(content: RequestContent): unknown {
  return JSON.parse(JSON.stringify(content))
}
