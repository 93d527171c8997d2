import { z } from 'zod'

/** JSON as it came from outside: carried, never interpreted. */
const Json = z.unknown()

export const DocumentSource = z.looseObject({ inline_text: z.string().optional(), inline_data: z.string().optional() })
export type DocumentSource = z.infer<typeof DocumentSource>

/** One part of a message that is more than text. `image_url` and `file` are read, `document` is preferred. */
export const MessagePart = z.object({
  type: z.enum(['text', 'image_url', 'file', 'document']),
  text: z.string().optional(),
  image_url: z.object({ url: z.string().optional(), detail: z.string().optional() }).optional(),
  file: z
    .object({ path: z.string().optional(), file_id: z.string().optional(), mime_type: z.string().optional() })
    .optional(),
  document: z
    .object({
      name: z.string().optional(),
      mime_type: z.string().optional(),
      size: z.number().optional(),
      source: DocumentSource.optional(),
    })
    .optional(),
})
export type MessagePart = z.infer<typeof MessagePart>

/** A model's request to call a tool; `function.arguments` is JSON text as the model wrote it. */
export const ToolCall = z.object({
  id: z.string().optional(),
  type: z.string().default('function'),
  function: z.object({ name: z.string().optional(), arguments: z.string().optional() }),
})
export type ToolCall = z.infer<typeof ToolCall>

/** MCP tool annotations: hints of the tool's author, not to be trusted. */
export const ToolAnnotations = z.object({
  title: z.string().optional(),
  readOnlyHint: z.boolean().optional(),
  destructiveHint: z.boolean().nullish(),
  idempotentHint: z.boolean().optional(),
  openWorldHint: z.boolean().nullish(),
})
export type ToolAnnotations = z.infer<typeof ToolAnnotations>

export const Tool = z.object({
  name: z.string(),
  category: z.string(),
  description: z.string().optional(),
  parameters: Json,
  annotations: ToolAnnotations,
  outputSchema: Json,
})
export type Tool = z.infer<typeof Tool>

const Media = z.object({ data: z.string(), mimeType: z.string() })

export const ToolCallResult = z.object({
  output: z.string(),
  isError: z.boolean().optional(),
  meta: Json.optional(),
  images: z.array(Media).optional(),
  audios: z.array(Media).optional(),
  documents: z
    .array(
      z.object({
        name: z.string().optional(),
        uri: z.string().optional(),
        mimeType: z.string(),
        data: z.string().optional(),
        text: z.string().optional(),
      }),
    )
    .optional(),
  structuredContent: Json.optional(),
})
export type ToolCallResult = z.infer<typeof ToolCallResult>

/** Tokens of one model call. `input_tokens` counts uncached input only. */
export const Usage = z.object({
  input_tokens: z.number().int().nonnegative(),
  output_tokens: z.number().int().nonnegative(),
  cached_input_tokens: z.number().int().nonnegative(),
  cached_write_tokens: z.number().int().nonnegative(),
  reasoning_tokens: z.number().int().nonnegative().optional(),
})
export type Usage = z.infer<typeof Usage>

export const Role = z.enum(['system', 'user', 'assistant', 'tool'])
export type Role = z.infer<typeof Role>

/**
 * Why a model stopped. `interrupted` is ours: the answer was cut by a stop, a failure or the end of the process; such a
 * message is shown and never sent to a model.
 */
export const FinishReason = z.enum(['stop', 'length', 'tool_calls', 'refusal', 'null', 'interrupted'])
export type FinishReason = z.infer<typeof FinishReason>

export const ChatMessage = z.object({
  role: Role,
  content: z.string(),
  multi_content: z.array(MessagePart).optional(),
  reasoning_content: z.string().optional(),
  thinking_signature: z.string().optional(),
  thought_signature: z.string().optional(),
  /** What the provider that wrote this message needs to see again, by provider; other providers ignore it. */
  provider_metadata: z.record(z.string(), Json).optional(),
  tool_calls: z.array(ToolCall).optional(),
  tool_definitions: z.array(Tool).optional(),
  tool_call_id: z.string().optional(),
  is_error: z.boolean().optional(),
  created_at: z.string().optional(),
  usage: Usage.optional(),
  /** `provider/model` that answered. */
  model: z.string().optional(),
  /** USD. */
  cost: z.number().nonnegative().optional(),
  finish_reason: FinishReason.optional(),
})
export type ChatMessage = z.infer<typeof ChatMessage>

/** An entry of the transcript. `partial` marks an answer that is still being written; it has no `id` yet. */
export const Message = z.object({
  id: z.string().optional(),
  agent_name: z.string(),
  message: ChatMessage,
  implicit: z.boolean().optional(),
  partial: z.boolean().optional(),
  /** In exports: its run was rolled back, and it is no part of the conversation any more. */
  rolled_back: z.boolean().optional(),
})
export type Message = z.infer<typeof Message>
