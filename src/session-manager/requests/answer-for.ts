import {
  type AnswerBody,
  type ElicitationAnswer,
  type ErrorDetail,
  Refusal,
  type Request,
  type Verdict,
} from '../../protocol/protocol.ts'

/** Reads a body as the answer that a request wants. Refuses with `invalid_request` what answers another kind of question. */
export function answerFor({ content: { kind } }: Request, body: AnswerBody): Verdict | ElicitationAnswer {
  const { confirmation, reason, tool_name, action, content } = body
  const isElicitation = kind === 'elicitation'
  const [wanted, other] = isElicitation ? (['action', 'confirmation'] as const) : (['confirmation', 'action'] as const)
  const details: ErrorDetail[] = []
  if (body[wanted] === undefined)
    details.push({ path: `body.${wanted}`, message: `an answer to this ${kind} needs it` })
  if (body[other] !== undefined) details.push({ path: `body.${other}`, message: `is no answer to this ${kind}` })
  if (details.length === 0 && action !== undefined) return { action, content }
  if (details.length === 0 && confirmation !== undefined) return { confirmation, reason, tool_name }
  const sentences = details.map(({ path, message }) => `${path}: ${message}`)
  throw new Refusal('invalid_request', sentences.join('; '), { details })
}
