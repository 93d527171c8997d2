import { z } from 'zod'
import { parseDuration } from '../protocol/protocol.ts'

/** A Go duration that is not negative, in milliseconds once parsed. */
const Duration = z.string().transform((text, context) => {
  const ms = parseDuration(text)
  if (ms !== undefined && ms >= 0) return ms
  context.addIssue('a duration such as 250ms or 1m30s')
  return z.NEVER
})

/** How a text is cut: `chunk` characters at a time, or word by word; `every` is the wait between two pieces. */
const pace = { chunk: z.number().int().positive().optional(), every: Duration.optional() }

const TextStep = z.strictObject({ text: z.string(), ...pace })
const ReasoningStep = z.strictObject({ reasoning: z.string(), ...pace })
const ToolCallStep = z.strictObject({
  tool_call: z.strictObject({ name: z.string().min(1), arguments: z.record(z.string(), z.json()).default({}) }),
  ...pace,
})
const ErrorStep = z.strictObject({
  error: z.strictObject({
    code: z.enum(['model_error', 'rate_limited', 'context_exceeded', 'request_too_large', 'media_too_large']),
    message: z.string().optional(),
    retryable: z.boolean().default(false),
    retry_after: Duration.optional(),
  }),
})
const DelayStep = z.strictObject({ delay: Duration })

const kinds = {
  text: TextStep,
  reasoning: ReasoningStep,
  tool_call: ToolCallStep,
  error: ErrorStep,
  delay: DelayStep,
} as const

export type ScriptedStep = z.infer<(typeof kinds)[keyof typeof kinds]>

/** Told apart by the one key that says what a step does, so that a mistake is named inside the step that was meant. */
export const ScriptedStep = z.looseObject({}).transform((step, context): ScriptedStep => {
  const said = Object.entries(kinds).filter(([kind]) => kind in step)
  const [only] = said
  if (!only || said.length > 1) {
    context.addIssue(`a step has exactly one of ${Object.keys(kinds).join(', ')}`)
    return z.NEVER
  }
  const parsed = only[1].safeParse(step)
  if (parsed.success) return parsed.data
  for (const issue of parsed.error.issues)
    context.addIssue({ code: 'custom', path: issue.path, message: issue.message })
  return z.NEVER
})

export const ScriptedTurn = z.array(ScriptedStep)
export type ScriptedTurn = z.infer<typeof ScriptedTurn>

/** `provider_opts.script` of a scripted model: what it answers, turn by turn. */
export const Script = z.array(ScriptedTurn)
export type Script = z.infer<typeof Script>
