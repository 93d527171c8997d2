import { z } from 'zod'
import { type HookAnswer, type HookEventName, HookFailure, silence } from './hook.ts'

/** What a hook writes. Keys that are not known are left alone. */
const WrittenAnswer = z.looseObject({
  continue: z.boolean().nullish(),
  stop_reason: z.string().nullish(),
  system_message: z.string().nullish(),
  decision: z.string().nullish(),
  reason: z.string().nullish(),
  hook_specific_output: z
    .looseObject({
      permission_decision: z.enum(['allow', 'deny', 'ask', '']).nullish(),
      permission_decision_reason: z.string().nullish(),
      updated_input: z.record(z.string(), z.unknown()).nullish(),
      metadata: z.record(z.string(), z.string()).nullish(),
      additional_context: z.string().nullish(),
    })
    .nullish(),
})
type WrittenAnswer = z.infer<typeof WrittenAnswer>

/** Events whose hooks may answer with plain text for the model. */
const contextEvents: ReadonlySet<HookEventName> = new Set([
  'session_start',
  'user_prompt_submit',
  'post_tool_use',
  'stop',
])

/** The exit code with which a hook blocks. */
const blocks = 2

/** Reads what a command left behind. Throws {@link HookFailure} for other exit codes and for answers without sense. */
export function readAnswer(event: HookEventName, code: number, stdout: string, stderr: string): HookAnswer {
  const text = stdout.trim()
  const complaint = stderr.trim()
  if (code === blocks) return { ...blocked(text), decision: 'deny', reason: blockReason(text, complaint) }
  if (code !== 0) throw new HookFailure(`exit code ${code}${complaint === '' ? '' : `: ${shorten(complaint)}`}`)
  if (text === '') return silence
  const json = parseObject(text)
  if (json !== undefined) return interpret(check(json))
  if (contextEvents.has(event)) return { ...silence, additionalContext: text }
  if (text.startsWith('{')) throw new HookFailure('the answer is not JSON')
  return silence
}

function interpret(answer: WrittenAnswer): HookAnswer {
  const { continue: goesOn, stop_reason, decision, reason, system_message, hook_specific_output: specific } = answer
  const isBlocked = goesOn === false || decision === 'block' || specific?.permission_decision === 'deny'
  return {
    decision: isBlocked ? 'deny' : specific?.permission_decision || undefined,
    reason: specific?.permission_decision_reason || reason || stop_reason || undefined,
    updatedInput: specific?.updated_input ?? undefined,
    metadata: specific?.metadata ?? {},
    additionalContext: specific?.additional_context || undefined,
    systemMessage: system_message || undefined,
  }
}

function check(json: unknown): WrittenAnswer {
  const parsed = WrittenAnswer.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new HookFailure(`the answer is wrong at ${issue?.path.join('.') || 'its top'}: ${issue?.message ?? 'unknown'}`)
}

/** A block counts whatever else was written. */
function blocked(text: string): HookAnswer {
  const parsed = WrittenAnswer.safeParse(parseObject(text))
  return parsed.success ? { ...interpret(parsed.data), updatedInput: undefined } : silence
}

function blockReason(text: string, complaint: string): string | undefined {
  const json = parseObject(text)
  const written = json === undefined ? text : blocked(text).reason
  return written || shorten(complaint) || undefined
}

function parseObject(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
  } catch {
    return undefined
  }
}

function shorten(text: string): string {
  return text.length > 500 ? `${text.slice(0, 500)}…` : text
}
