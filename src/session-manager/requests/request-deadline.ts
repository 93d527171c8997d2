import type { DeadlineAnswer, ElicitationAnswer, Request, RequestContent, Verdict } from '../../protocol/protocol.ts'
import type { Question } from '../../runtime/runtime.ts'

/** What a request is answered with when its deadline passes. */
export const deadlineAnswers: Readonly<Record<DeadlineAnswer, Verdict | ElicitationAnswer>> = {
  allow: { confirmation: 'approve' },
  deny: { confirmation: 'reject', reason: 'nobody answered before the deadline' },
  decline: { action: 'decline' },
  cancel: { action: 'cancel' },
}

/**
 * The deadline of a question that is put at an instant, and what it then does. What the question says comes before what is
 * usual, in milliseconds; zero means none.
 */
export function deadlineOf(
  question: Question,
  at: Date,
  usualMs: number | undefined,
): Pick<Request, 'deadline' | 'on_deadline'> {
  const afterMs = question.expiry?.afterMs ?? usualMs ?? 0
  if (afterMs <= 0 || !Number.isFinite(afterMs)) return {}
  return { deadline: new Date(at.getTime() + afterMs).toISOString(), on_deadline: answerFor(question) }
}

/** How dangerous the call is that asks for approval, where anybody has said so. */
export function labelOf(content: RequestContent): string | undefined {
  return content.kind === 'approval' ? content.metadata?.safety_label : undefined
}

/** A destructive call is never let through because nobody answered, whatever was wished for. */
function answerFor({ content, expiry }: Question): DeadlineAnswer {
  if (content.kind === 'elicitation') return expiry?.answer === 'cancel' ? 'cancel' : 'decline'
  const mayPass = content.kind === 'approval' && labelOf(content) !== 'destructive'
  return mayPass && expiry?.answer === 'allow' ? 'allow' : 'deny'
}
