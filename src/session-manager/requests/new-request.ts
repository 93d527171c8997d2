import { type EventBody, newId, type Request } from '../../protocol/protocol.ts'
import type { Question } from '../../runtime/runtime.ts'
import { deadlineOf, labelOf } from './request-deadline.ts'

/** A question as it is opened now. `usualMs` is how long it stays open unless it says so itself. */
export function newRequest(
  question: Question,
  asker: Pick<Request, 'session_id' | 'run_id' | 'agent_name'>,
  usualMs: number | undefined,
): Request {
  const at = new Date()
  const label = labelOf(question.content)
  return {
    id: newId(),
    ...asker,
    state: 'open',
    created_at: at.toISOString(),
    content: question.content,
    ...(label === undefined ? {} : { label }),
    ...deadlineOf(question, at, usualMs),
  }
}

/** What is told when a request is opened: to everybody, and to those who know only elicitations. */
export function openingsOf(request: Request): readonly EventBody[] {
  const opened: EventBody = { type: 'request_opened', request }
  if (request.content.kind !== 'elicitation') return [opened]
  const { kind: _, ...shown } = request.content
  return [opened, { type: 'elicitation_request', ...shown, elicitation_id: request.id }]
}

/** What asks those for a verdict who know no ids; an elicitation needs none. */
export function confirmationOf({ content, id: request_id }: Request): EventBody | undefined {
  switch (content.kind) {
    case 'approval': {
      const { kind: _, ...call } = content
      return { type: 'tool_call_confirmation', ...call, request_id }
    }
    case 'continuation':
      return { type: 'max_iterations_reached', max_iterations: content.max_iterations, request_id }
    case 'elicitation':
    case 'recovery':
      return undefined
  }
}
