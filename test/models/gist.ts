import { z } from 'zod'

/** What two requests must have in common: model, who said what, the tools and their results. */
export type Gist = {
  readonly model?: string | undefined
  readonly said: readonly (readonly string[])[]
  readonly tools: readonly string[]
}

const Block = z.looseObject({
  type: z.string().optional(),
  text: z.string().optional(),
  name: z.string().optional(),
  input: z.unknown().optional(),
  content: z.unknown().optional(),
  functionCall: z.looseObject({ name: z.string(), args: z.unknown().optional() }).optional(),
  functionResponse: z.looseObject({ response: z.record(z.string(), z.unknown()) }).optional(),
})
const Content = z.union([z.string(), z.null(), z.array(Block)]).optional()
const OpenAIBody = z.looseObject({
  model: z.string(),
  messages: z.array(
    z.looseObject({
      role: z.string(),
      content: Content,
      tool_calls: z
        .array(z.looseObject({ function: z.object({ name: z.string(), arguments: z.string() }) }))
        .optional(),
    }),
  ),
  tools: z.array(z.looseObject({ function: z.looseObject({ name: z.string() }) })).default([]),
})
const ResponsesBody = z.looseObject({
  model: z.string(),
  input: z.array(
    z.looseObject({
      type: z.string().optional(),
      role: z.string().optional(),
      content: Content,
      name: z.string().optional(),
      arguments: z.string().optional(),
      output: z.unknown().optional(),
    }),
  ),
  tools: z.array(z.looseObject({ name: z.string() })).default([]),
})
const AnthropicBody = z.looseObject({
  model: z.string(),
  system: z.array(Block).optional(),
  messages: z.array(z.looseObject({ role: z.string(), content: z.array(Block) })),
  tools: z.array(z.looseObject({ name: z.string() })).default([]),
})
const GoogleBody = z.looseObject({
  systemInstruction: z.looseObject({ parts: z.array(Block) }).optional(),
  contents: z.array(z.looseObject({ role: z.string(), parts: z.array(Block) })),
  tools: z.array(z.looseObject({ functionDeclarations: z.array(z.looseObject({ name: z.string() })) })).optional(),
})

export function openaiGist(body: unknown): Gist {
  const { model, messages, tools } = OpenAIBody.parse(body)
  const said = messages.flatMap(({ role, content, tool_calls = [] }) => [
    ...(content ? [[role, typeof content === 'string' ? content : content.map((part) => part.text).join('')]] : []),
    ...tool_calls.map((call) => [role, call.function.name, call.function.arguments]),
  ])
  return { model, said, tools: tools.map((tool) => tool.function.name) }
}

/** Says `assistant` and `tool` where chat completions would, and leaves out what a model has thought. */
export function responsesGist(body: unknown): Gist {
  const { model, input, tools } = ResponsesBody.parse(body)
  const said = input.flatMap((item) => {
    if (item.type === 'function_call') return [['assistant', item.name ?? '', item.arguments ?? '']]
    if (item.type === 'function_call_output') return [['tool', String(item.output)]]
    if (item.role === undefined) return []
    const text = Array.isArray(item.content) ? item.content.map((part) => part.text).join('') : (item.content ?? '')
    return [[item.role, text]]
  })
  return { model, said, tools: tools.map((tool) => tool.name) }
}

function blockGist(role: string, block: z.infer<typeof Block>): readonly string[] {
  if (block.type === 'tool_use') return [role, block.name ?? '', JSON.stringify(block.input)]
  if (block.type === 'tool_result') {
    const text = typeof block.content === 'string' ? block.content : z.array(Block).parse(block.content)[0]?.text
    return [role, 'result', (text ?? '').trim()]
  }
  if (block.functionCall) return [role, block.functionCall.name, JSON.stringify(block.functionCall.args)]
  if (block.functionResponse) {
    const { result, content } = block.functionResponse.response
    return [role, 'result', String(result ?? content)]
  }
  return [role, (block.text ?? '').trim()]
}

export function anthropicGist(body: unknown): Gist {
  const { model, system = [], messages, tools } = AnthropicBody.parse(body)
  const said = [
    ...system.map((block) => blockGist('system', block)),
    ...messages.flatMap(({ role, content }) => content.map((block) => blockGist(role, block))),
  ]
  return { model, said, tools: tools.map((tool) => tool.name) }
}

/** The recordings say the instructions as the user's first contents; the package has a place of its own for them. */
export function googleGist(body: unknown): Gist {
  const { systemInstruction, contents, tools = [] } = GoogleBody.parse(body)
  const said = [
    ...(systemInstruction?.parts ?? []).map((block) => blockGist('user', block)),
    ...contents.flatMap(({ role, parts }) => parts.map((block) => blockGist(role, block))),
  ]
  return { said, tools: tools.flatMap((group) => group.functionDeclarations.map((tool) => tool.name)) }
}
