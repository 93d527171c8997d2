import type { Tool, ToolCallResult } from '../protocol/protocol.ts'
import { redact, redactText } from './hooks/secrets.ts'
import type { CallContext, RequestHeaders, Toolset } from './tools.ts'

type Document = NonNullable<ToolCallResult['documents']>[number]

/**
 * A toolset whose results and questions hold no texts that look like secrets. It tells nothing while a call goes on: a
 * secret may come in pieces, of which none looks like one. Images and sound stay as they are.
 */
export class RedactedToolset implements Toolset {
  readonly #inner: Toolset

  constructor(inner: Toolset) {
    this.#inner = inner
  }

  get instruction(): string | undefined {
    return this.#inner.instruction
  }

  get tools(): readonly Tool[] {
    return this.#inner.tools
  }

  start(signal: AbortSignal, headers?: RequestHeaders): Promise<void> {
    return this.#inner.start(signal, headers)
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    const { callId, signal, headers } = context
    const result = await this.#inner.call(name, args, {
      callId,
      signal,
      headers,
      output: () => {},
      elicit: ({ message, schema, ...question }) =>
        context.elicit({ ...question, message: redactText(message), schema: redact(schema) }),
    })
    return redacted(result)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }
}

function redacted(result: ToolCallResult): ToolCallResult {
  const { output, meta, documents, structuredContent } = result
  return {
    ...result,
    output: redactText(output),
    ...(meta !== undefined && { meta: redact(meta) }),
    ...(structuredContent !== undefined && { structuredContent: redact(structuredContent) }),
    ...(documents !== undefined && { documents: documents.map(redactDocument) }),
  }
}

function redactDocument(document: Document): Document {
  const { mimeType, text, data } = document
  const decoded = data !== undefined && isText(mimeType) ? Buffer.from(data, 'base64').toString('utf8') : undefined
  const cleaned = decoded === undefined ? undefined : redactText(decoded)
  return {
    ...document,
    ...(text !== undefined && { text: redactText(text) }),
    ...(cleaned !== undefined && cleaned !== decoded && { data: Buffer.from(cleaned).toString('base64') }),
  }
}

function isText(mimeType: string): boolean {
  return mimeType.startsWith('text/') || mimeType === 'application/json'
}
