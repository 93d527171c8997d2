import type { Message, MessagePart, ToolCallResult } from '../protocol/protocol.ts'

/** What the model reads of a call that was at work when its process died, and that is not carried out again. */
export const unknownEffect =
  'The call was interrupted: the server stopped while it went on. It is unknown whether it took effect.'

/** The same of a call whose run has ended without it. */
export const leftEffect =
  'The call was interrupted: the run ended while it went on. It is unknown whether it took effect.'

/** The result of a call as a message of the conversation. */
export function toolMessage(
  agent_name: string,
  tool_call_id: string,
  result: ToolCallResult,
  notes: readonly string[] = [],
): Message {
  const content = [result.output || '(no output)', ...notes].join('\n\n')
  const parts = attachmentsOf(result)
  return {
    agent_name,
    message: {
      role: 'tool',
      content,
      ...(parts.length === 0 ? {} : { multi_content: [{ type: 'text' as const, text: content }, ...parts] }),
      tool_call_id,
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
