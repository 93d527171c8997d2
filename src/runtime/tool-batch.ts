import type { Message, MessagePart, ToolCall, ToolCallResult } from '../protocol/protocol.ts'
import type { AgentAtWork } from './agent-at-work.ts'
import { redactedCall } from './redaction.ts'
import type { RuntimeEvent } from './runtime.ts'
import { told } from './told.ts'
import { type CallOutcome, carryOut } from './tool-call.ts'

/**
 * The calls of one answer, all at once. Their results are stored in the order in which the model asked, whatever came of
 * them, so that every call has one. What ends the run is thrown after that.
 */
export async function* toolBatch(
  work: AgentAtWork,
  calls: readonly ToolCall[],
): AsyncGenerator<RuntimeEvent, void, void> {
  const wanted = work.agent.redact_secrets === true ? calls.map(redactedCall) : calls
  const outcomes = yield* told<RuntimeEvent, readonly CallOutcome[]>(
    (teller, signal) => Promise.all(wanted.map((call) => carryOut({ ...work, signal }, call, teller))),
    work.signal,
  )
  const messages = outcomes.map((outcome) => toMessage(work.agent.Name, outcome))
  for (const message of messages) yield { type: 'message_added', message }
  const failed = outcomes.find(({ failure }) => failure !== undefined)
  if (failed !== undefined) throw failed.failure
}

function toMessage(agent_name: string, { call, result, notes = [] }: CallOutcome): Message {
  const content = [result.output || '(no output)', ...notes].join('\n\n')
  const parts = attachmentsOf(result)
  return {
    agent_name,
    message: {
      role: 'tool',
      content,
      ...(parts.length === 0 ? {} : { multi_content: [{ type: 'text' as const, text: content }, ...parts] }),
      tool_call_id: call.id ?? '',
      ...(result.isError === true ? { is_error: true } : {}),
      created_at: new Date().toISOString(),
    },
  }
}

/** Images, sound and documents of a result, as a message carries them: each model gets what it can take, or a note. */
function attachmentsOf({ images = [], audios = [], documents = [] }: ToolCallResult): readonly MessagePart[] {
  const media = [...images, ...audios].map(({ data, mimeType }): MessagePart => {
    return { type: 'document', document: { mime_type: mimeType, source: { inline_data: data } } }
  })
  const papers = documents.map(({ name, mimeType, data, text }): MessagePart => {
    // What has neither is a link.
    const inline = text === undefined ? undefined : { inline_text: text }
    const source = data === undefined ? inline : { inline_data: data }
    return { type: 'document', document: { name, mime_type: mimeType, ...(source && { source }) } }
  })
  return [...media, ...papers]
}
