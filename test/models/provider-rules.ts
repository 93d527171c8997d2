import { z } from 'zod'

/** What one provider takes as a request, as its reference says; each rule throws where a request breaks it. */
export type Rules = (body: unknown) => void

function ensure(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Error(`the request breaks a rule: ${rule}`)
}

function distinct(ids: readonly string[]): void {
  ensure(new Set(ids).size === ids.length, 'the id of a call comes once')
}

const Text = z.strictObject({ type: z.literal('text'), text: z.string().min(1) })
const ChatImage = z.strictObject({
  type: z.literal('image_url'),
  image_url: z.strictObject({ url: z.string().regex(/^(data:image\/|https:)/), detail: z.string().optional() }),
})
const JsonObject = z.string().refine((text) => z.record(z.string(), z.json()).safeParse(JSON.parse(text)).success)
const ChatMessage = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: z.string() }),
  z.strictObject({
    role: z.literal('user'),
    content: z.union([z.string(), z.array(z.union([Text, ChatImage])).min(1)]),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.string().nullish(),
    tool_calls: z
      .array(
        z.strictObject({
          id: z.string().min(1).max(40),
          type: z.literal('function'),
          function: z.strictObject({ name: z.string().regex(/^[\w-]{1,64}$/), arguments: JsonObject }),
        }),
      )
      .min(1)
      .optional(),
  }),
  z.strictObject({ role: z.literal('tool'), tool_call_id: z.string(), content: z.string() }),
])
const ChatBody = z.looseObject({ messages: z.array(ChatMessage) })

/** Every call is answered by the tool messages right after it, and by nothing else. */
function chatRules(body: unknown): z.infer<typeof ChatBody> {
  const parsed = ChatBody.parse(body)
  let open: string[] = []
  const ids: string[] = []
  for (const message of parsed.messages) {
    if (message.role === 'tool') {
      ensure(open.includes(message.tool_call_id), 'a result answers a call of the answer before it')
      open = open.filter((id) => id !== message.tool_call_id)
      continue
    }
    ensure(open.length === 0, 'every call has its result before anything else is said')
    if (message.role !== 'assistant') continue
    open = (message.tool_calls ?? []).map((call) => call.id)
    ids.push(...open)
  }
  ensure(open.length === 0, 'every call has its result')
  distinct(ids)
  return parsed
}

function mistralRules(body: unknown): void {
  const { messages } = chatRules(body)
  for (const [place, message] of messages.entries()) {
    const before = messages[place - 1]?.role
    ensure(!(message.role === 'user' && before === 'tool'), 'nobody speaks right after results')
    if (message.role !== 'assistant') continue
    for (const { id } of message.tool_calls ?? [])
      ensure(/^[a-zA-Z0-9]{9}$/.test(id), 'an id has nine letters or digits')
  }
  ensure(['user', 'tool'].includes(messages.at(-1)?.role ?? ''), 'a user or a tool has the last word')
}

const ResponsesItem = z.union([
  z.strictObject({ role: z.enum(['system', 'developer']), content: z.string() }),
  z.strictObject({
    role: z.literal('user'),
    content: z.array(
      z.union([
        z.strictObject({ type: z.literal('input_text'), text: z.string() }),
        z.strictObject({ type: z.literal('input_image'), image_url: z.string() }),
      ]),
    ),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z.union([z.string(), z.array(z.strictObject({ type: z.literal('output_text'), text: z.string() }))]),
    id: z.string().startsWith('msg_').optional(),
    phase: z.string().nullish(),
  }),
  z.strictObject({
    type: z.literal('function_call'),
    call_id: z.string().min(1).max(64),
    name: z.string().regex(/^[\w-]{1,64}$/),
    arguments: JsonObject,
    id: z.string().startsWith('fc_').optional(),
  }),
  z.strictObject({
    type: z.literal('function_call_output'),
    call_id: z.string(),
    output: z.union([
      z.string(),
      z.array(z.looseObject({ type: z.enum(['input_text', 'input_image', 'input_file']) })),
    ]),
  }),
  z.strictObject({
    type: z.literal('reasoning'),
    id: z.string().startsWith('rs_').optional(),
    encrypted_content: z.string().min(1),
    summary: z.array(z.strictObject({ type: z.literal('summary_text'), text: z.string() })),
  }),
])

function responsesRules(body: unknown): void {
  const { input } = z.looseObject({ input: z.array(ResponsesItem), store: z.literal(false) }).parse(body)
  const asked = input.flatMap((item) => ('type' in item && item.type === 'function_call' ? [item.call_id] : []))
  const answered = input.flatMap((item) =>
    'type' in item && item.type === 'function_call_output' ? [item.call_id] : [],
  )
  distinct(asked)
  ensure(JSON.stringify(asked.toSorted()) === JSON.stringify(answered.toSorted()), 'every call has one result')
  for (const [place, item] of input.entries()) {
    const next = input[place + 1]
    if (!('type' in item) || item.type !== 'reasoning') continue
    ensure(next !== undefined && !('role' in next && next.role === 'user'), 'reasoning is followed by what came of it')
  }
}

const cache = z.looseObject({ type: z.literal('ephemeral') }).optional()
const AnthropicText = z.strictObject({ type: z.literal('text'), text: z.string().regex(/\S/), cache_control: cache })
const AnthropicImage = z.strictObject({
  type: z.literal('image'),
  source: z.union([
    z.strictObject({ type: z.literal('base64'), media_type: z.string().startsWith('image/'), data: z.string() }),
    z.strictObject({ type: z.literal('url'), url: z.string() }),
  ]),
  cache_control: cache,
})
const AnthropicResult = z.strictObject({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  content: z.union([z.string(), z.array(z.union([AnthropicText, AnthropicImage]))]),
  is_error: z.boolean().optional(),
  cache_control: cache,
})
const AnthropicMessage = z.discriminatedUnion('role', [
  z.strictObject({
    role: z.literal('user'),
    content: z.array(z.union([AnthropicText, AnthropicImage, AnthropicResult])).min(1),
  }),
  z.strictObject({
    role: z.literal('assistant'),
    content: z
      .array(
        z.union([
          AnthropicText,
          z.strictObject({ type: z.literal('thinking'), thinking: z.string(), signature: z.string().min(1) }),
          z.strictObject({
            type: z.literal('tool_use'),
            id: z.string().regex(/^[a-zA-Z0-9_-]+$/),
            name: z.string().regex(/^[\w-]{1,64}$/),
            input: z.record(z.string(), z.json()),
            cache_control: cache,
          }),
        ]),
      )
      .min(1),
  }),
])

function anthropicRules(body: unknown): void {
  const { messages } = z.looseObject({ messages: z.array(AnthropicMessage) }).parse(body)
  ensure(messages[0]?.role === 'user', 'the user speaks first')
  const ids: string[] = []
  for (const [place, message] of messages.entries()) {
    ensure(message.role !== messages[place - 1]?.role, 'the roles take turns')
    if (message.role !== 'assistant') continue
    const open = message.content.flatMap((part) => (part.type === 'tool_use' ? [part.id] : []))
    ids.push(...open)
    const results = messages[place + 1]?.content.flatMap((part) =>
      part.type === 'tool_result' ? [part.tool_use_id] : [],
    )
    ensure(
      JSON.stringify(results ?? []) === JSON.stringify(open),
      'the next message begins with the results of all calls',
    )
  }
  distinct(ids)
}

const GooglePart = z.union([
  z.strictObject({
    text: z.string().min(1),
    thought: z.literal(true).optional(),
    thoughtSignature: z.string().optional(),
  }),
  z.strictObject({ inlineData: z.strictObject({ mimeType: z.string().startsWith('image/'), data: z.string() }) }),
  z.strictObject({
    functionCall: z.strictObject({ id: z.string().optional(), name: z.string(), args: z.record(z.string(), z.json()) }),
    thoughtSignature: z.string().optional(),
  }),
  z.strictObject({
    functionResponse: z.looseObject({
      id: z.string().optional(),
      name: z.string(),
      response: z.record(z.string(), z.json()),
    }),
  }),
])

function googleRules(body: unknown): void {
  const Content = z.strictObject({ role: z.enum(['user', 'model']), parts: z.array(GooglePart).min(1) })
  const { contents } = z.looseObject({ contents: z.array(Content) }).parse(body)
  ensure(contents[0]?.role === 'user', 'the user speaks first')
  for (const [place, { role, parts }] of contents.entries()) {
    const calls = parts.flatMap((part) => ('functionCall' in part ? [part.functionCall.name] : []))
    if (calls.length === 0) continue
    ensure(role === 'model', 'the model calls')
    const first = parts.find((part) => 'functionCall' in part)
    ensure(
      first !== undefined && 'thoughtSignature' in first && first.thoughtSignature !== undefined,
      'the first call is signed',
    )
    const results = contents[place + 1]?.parts.flatMap((part) =>
      'functionResponse' in part ? [part.functionResponse.name] : [],
    )
    ensure(JSON.stringify(results) === JSON.stringify(calls), 'the next content has the results of all calls')
  }
}

export const providerRules = {
  chat: (body: unknown) => void chatRules(body),
  responses: responsesRules,
  anthropic: anthropicRules,
  google: googleRules,
  mistral: mistralRules,
} satisfies Record<string, Rules>
