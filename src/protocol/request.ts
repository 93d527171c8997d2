import { z } from 'zod'
import { parseDuration } from './duration.ts'
import { Tool, ToolCall } from './message.ts'
import { RecoveryCause } from './run.ts'

const legacyVerbs: Readonly<Record<string, string>> = {
  'approve-session': 'approve-autonomous',
  'approve-safe': 'approve-balanced',
  'approve-safer': 'approve-balanced',
}

/** What a person says to an approval. */
export const Confirmation = z.enum(['approve', 'approve-balanced', 'approve-autonomous', 'approve-tool', 'reject'])
export type Confirmation = z.infer<typeof Confirmation>

/** A confirmation as clients may write it: the verbs of {@link Confirmation} and the ancestor's old ones. */
export const ConfirmationInput = z.preprocess(
  (value) => (typeof value === 'string' ? (legacyVerbs[value] ?? value) : value),
  Confirmation,
)

/** The verdict on an approval. */
export const Verdict = z.object({
  confirmation: Confirmation,
  reason: z.string().optional(),
  tool_name: z.string().optional(),
})
export type Verdict = z.infer<typeof Verdict>

/** The answer to an elicitation. */
export const ElicitationAnswer = z.object({
  action: z.enum(['accept', 'decline', 'cancel']),
  content: z.record(z.string(), z.unknown()).nullish(),
})
export type ElicitationAnswer = z.infer<typeof ElicitationAnswer>

/** Asks whether a tool call may run. */
export const ApprovalContent = z.object({
  kind: z.literal('approval'),
  tool_call: ToolCall,
  tool_definition: Tool,
  metadata: z.record(z.string(), z.string()).optional(),
})
export type ApprovalContent = z.infer<typeof ApprovalContent>

/** Asks a person for input: a form with a JSON schema, or a URL to visit. */
export const ElicitationContent = z.object({
  kind: z.literal('elicitation'),
  message: z.string(),
  mode: z.enum(['form', 'url']).optional(),
  schema: z.unknown().optional(),
  url: z.string().optional(),
  server_elicitation_id: z.string().optional(),
  /** The call that asks. */
  tool_call_id: z.string().optional(),
  meta: z.record(z.string(), z.unknown()).optional(),
})
export type ElicitationContent = z.infer<typeof ElicitationContent>

/** Asks whether a run that has made its most model calls may make ten more. */
export const ContinuationContent = z.object({ kind: z.literal('continuation'), max_iterations: z.number().int() })
export type ContinuationContent = z.infer<typeof ContinuationContent>

/** Asks whether a run that the former process left shall go on. */
export const RecoveryContent = z.object({
  kind: z.literal('recovery'),
  attempt: z.number().int(),
  cause: RecoveryCause,
})
export type RecoveryContent = z.infer<typeof RecoveryContent>

export const RequestContent = z.discriminatedUnion('kind', [
  ApprovalContent,
  ElicitationContent,
  ContinuationContent,
  RecoveryContent,
])
export type RequestContent = z.infer<typeof RequestContent>

/** `withdrawn`: the run was stopped. `expired`: its deadline has passed, or whoever asked is gone. */
export const RequestState = z.enum(['open', 'answered', 'withdrawn', 'expired'])
export type RequestState = z.infer<typeof RequestState>

/** Who settled a request: a client, the session's policy, the stop of its run, the end of the process that asked, its deadline. */
export const Decider = z.enum(['client', 'policy', 'stop', 'restart', 'deadline'])
export type Decider = z.infer<typeof Decider>

/** The answer that a request gets when nobody has answered by its deadline. */
export const DeadlineAnswer = z.enum(['allow', 'deny', 'decline', 'cancel'])
export type DeadlineAnswer = z.infer<typeof DeadlineAnswer>

/** Why a request has expired. */
export const ExpiryReason = z.enum(['deadline', 'restart', 'asker_gone'])
export type ExpiryReason = z.infer<typeof ExpiryReason>

/** How long questions of a session may stay open, as Go writes it: zero is for ever, empty text leaves it to the server. */
export const RequestDeadline = z
  .string()
  .trim()
  .refine((text) => text === '' || (parseDuration(text) ?? -1) >= 0, 'must be a duration such as 30m or 12h')

/** A question that a run puts to a person. Settled once. */
export const Request = z.object({
  id: z.string(),
  session_id: z.string(),
  run_id: z.string(),
  agent_name: z.string().optional(),
  state: RequestState,
  created_at: z.string(),
  content: RequestContent,
  label: z.string().optional(),
  deadline: z.string().optional(),
  on_deadline: DeadlineAnswer.optional(),
  reminded_at: z.string().optional(),
  answer: z.union([Verdict, ElicitationAnswer]).optional(),
  decider: Decider.optional(),
  reason: ExpiryReason.optional(),
  settled_at: z.string().optional(),
})
export type Request = z.infer<typeof Request>

/** `POST /api/sessions/:id/resume`. Without an id it answers the approval that is confirmed now. */
export const ResumeBody = z.object({
  confirmation: ConfirmationInput,
  reason: z.string().optional(),
  tool_name: z.string().optional(),
  request_id: z.string().optional(),
  tool_call_id: z.string().optional(),
})
export type ResumeBody = z.infer<typeof ResumeBody>

/** `POST /api/sessions/:id/elicitation`. Without an id it answers the only open elicitation. */
export const ElicitationBody = z.object({
  action: ElicitationAnswer.shape.action,
  content: ElicitationAnswer.shape.content,
  elicitation_id: z.string().optional(),
  request_id: z.string().optional(),
})
export type ElicitationBody = z.infer<typeof ElicitationBody>

/** `POST /api/sessions/:id/requests/:request_id/answer`: a verdict, or for an elicitation an action. */
export const AnswerBody = z.object({
  confirmation: ConfirmationInput.optional(),
  reason: z.string().optional(),
  tool_name: z.string().optional(),
  action: ElicitationAnswer.shape.action.optional(),
  content: ElicitationAnswer.shape.content,
})
export type AnswerBody = z.infer<typeof AnswerBody>
