import { z } from 'zod'
import { Message, Usage } from '../message.ts'
import * as query from '../query.ts'
import type { Summary } from '../session.ts'
import { endpoint, Updated } from './endpoint.ts'

const Added = z.object({ status: z.literal('added'), message_id: z.string().optional() })
const MessageBody = z.preprocess(withOldAgentName, z.object({ message: Message }))

/** Transcripts. */
export const transcriptEndpoints = {
  listMessages: endpoint({
    method: 'GET',
    path: '/api/sessions/:id/messages',
    summary: 'Messages of a session, oldest first; the page that follows is in `Link: rel="next"`.',
    query: query.MessagePageQuery,
    answers: { 200: z.array(Message) },
    refuses: ['invalid_request', 'unknown_session'],
  }),
  addMessage: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/messages',
    summary: 'Adds a message to the transcript.',
    body: MessageBody,
    answers: { 201: Added },
    refuses: ['unknown_session', 'session_busy'],
  }),
  updateMessage: endpoint({
    method: 'PATCH',
    path: '/api/sessions/:id/messages/:msg_id',
    summary: 'Replaces a message of the transcript.',
    body: MessageBody,
    answers: { 200: Updated },
    refuses: ['unknown_session', 'unknown_message', 'session_busy'],
  }),
  addSummary: endpoint({
    method: 'POST',
    path: '/api/sessions/:id/summaries',
    summary: 'Adds a summary that stands for the history before it.',
    body: summaryBody(),
    answers: { 201: Added },
    refuses: ['unknown_session', 'session_busy'],
  }),
} as const

/** `tokens` is the ancestor's old name of `first_kept_entry`. */
function summaryBody() {
  const controlCharacters = /^[^\p{Cc}]*$/u
  return z
    .object({
      summary: z.string().min(1),
      first_kept_entry: z.number().int().nonnegative().optional(),
      tokens: z.number().int().nonnegative().optional(),
      cost: z.number().nonnegative().optional(),
      model: z.string().max(256).regex(controlCharacters, 'must not hold control characters').optional(),
      usage: Usage.partial().nullish(),
    })
    .transform(({ tokens, usage, first_kept_entry = tokens, ...summary }): Summary => {
      const { input_tokens = 0, output_tokens = 0, cached_input_tokens = 0, cached_write_tokens = 0 } = usage ?? {}
      const isZero = input_tokens + output_tokens + cached_input_tokens + cached_write_tokens === 0
      const counted = { ...usage, input_tokens, output_tokens, cached_input_tokens, cached_write_tokens }
      return {
        ...summary,
        ...(first_kept_entry === undefined ? {} : { first_kept_entry }),
        ...(isZero ? {} : { usage: counted }),
      }
    })
}

/** Early clients write `agentName`. */
function withOldAgentName(body: unknown): unknown {
  if (!isObject(body) || !isObject(body.message)) return body
  const { agentName = '', ...message } = body.message
  return { ...body, message: { agent_name: agentName, ...message } }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
