import type { LanguageModel, Models } from '../models/models.ts'
import type { ChatMessage, MessagePart, ToolCall } from '../protocol/protocol.ts'
import { redact, redactText } from '../tools/tools.ts'

/** Models that are sent no texts that look like secrets. What a model has written itself stays as it was: it knows it. */
export function redactingModels(models: Models): Models {
  return { ...models, open: async (definition) => redacting(await models.open(definition)) }
}

function redacting(model: LanguageModel): LanguageModel {
  return {
    ...model,
    stream: (request, signal) => model.stream({ ...request, messages: request.messages.map(redactMessage) }, signal),
  }
}

function redactMessage(message: ChatMessage): ChatMessage {
  if (message.role === 'assistant') return message
  const { content, multi_content: parts } = message
  return { ...message, content: redactText(content), ...(parts && { multi_content: parts.map(redactPart) }) }
}

function redactPart(part: MessagePart): MessagePart {
  const { text, document } = part
  const inline_text = document?.source?.inline_text
  return {
    ...part,
    ...(text !== undefined && { text: redactText(text) }),
    ...(document !== undefined &&
      inline_text !== undefined && {
        document: { ...document, source: { ...document.source, inline_text: redactText(inline_text) } },
      }),
  }
}

/** A call whose arguments hold no texts that look like secrets. */
export function redactedCall(call: ToolCall): ToolCall {
  const { arguments: text } = call.function
  return text === undefined ? call : { ...call, function: { ...call.function, arguments: redactJson(text) } }
}

/** Text within JSON is escaped, which may hide a secret. */
function redactJson(text: string): string {
  try {
    return JSON.stringify(redact(JSON.parse(text)))
  } catch {
    return redactText(text)
  }
}
