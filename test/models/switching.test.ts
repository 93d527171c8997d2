import { describe, expect, test } from 'vitest'
import type { ModelDefinition } from '../../src/models/models.ts'
import { ToolCallIds } from '../../src/models/tool-call-ids.ts'
import type { ChatMessage, MessagePart } from '../../src/protocol/protocol.ts'
import { user } from './collect.ts'
import { providerRules } from './provider-rules.ts'
import { sentBy } from './sent-by.ts'

type Name = keyof typeof providerRules

const readers: Readonly<Record<Name, ModelDefinition>> = {
  chat: { provider: 'openai', model: 'gpt-4o' },
  responses: { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses' },
  anthropic: { provider: 'anthropic', model: 'claude-sonnet-4-5', thinking_budget: 2048 },
  google: { provider: 'google', model: 'gemini-3-pro-preview' },
  mistral: { provider: 'mistral', model: 'mistral-medium-latest' },
}
const names: readonly Name[] = ['chat', 'responses', 'anthropic', 'google', 'mistral']

/** How a writer names its calls, and what it wants back with reasoning and with calls. `#` is the place of the call. */
const writers: Readonly<Record<Name, { readonly id: string; readonly thought?: object; readonly call?: object }>> = {
  chat: { id: 'call_4XbnUYdZ9vX0cGb2L7hEoQ#' },
  responses: {
    id: 'call_J7dTqQxK0aV1bN2mC3zX4y#',
    thought: { itemId: 'rs_0123456789', reasoningEncryptedContent: 'mark-responses' },
  },
  anthropic: { id: 'toolu_01A09q90qw90lq917835lq#', thought: { signature: 'mark-anthropic' } },
  google: { id: 'fc-gemini.3/2f#', call: { thoughtSignature: 'mark-google' } },
  mistral: { id: 'D681PevK#' },
}

const image: MessagePart = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }

function answer(writer: Name, content: string, ...ids: readonly string[]): ChatMessage {
  const { provider, model } = readers[writer]
  const { thought, call } = writers[writer]
  const reasoning = 'I should look.'
  const blocks = [
    { kind: 'reasoning', length: reasoning.length, ...(thought && { metadata: thought }) },
    { kind: 'text', length: content.length },
    ...ids.map((id, place) => ({ kind: 'tool_call', length: 0, id, ...(call && place === 0 && { metadata: call }) })),
  ]
  const tool_calls = ids.map((id, place) => ({
    id,
    type: 'function',
    function: { name: 'look', arguments: JSON.stringify({ place }) },
  }))
  return {
    role: 'assistant',
    content,
    reasoning_content: reasoning,
    model: `${provider}/${model}`,
    ...(ids.length > 0 && { tool_calls }),
    ...((thought ?? call) && { provider_metadata: { [provider]: { model, blocks } } }),
  }
}

function result(id: string, content: string, more: Partial<ChatMessage> = {}): ChatMessage {
  return { role: 'tool', tool_call_id: id, content, ...more }
}

/** Everything a conversation may hold: images, parallel calls, an error, a call without its result, words in between. */
function history(writer: Name): readonly ChatMessage[] {
  const [a, b, c, d] = ['1', '2', '3', '4'].map((place) => writers[writer].id.replace('#', place))
  const ids = [a ?? '', b ?? '', c ?? '', d ?? ''] as const
  return [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'what is this?', multi_content: [{ type: 'text', text: 'what is this?' }, image] },
    answer(writer, 'Let me look.', ids[0], ids[1], ids[2]),
    result(ids[1], 'second', { is_error: true }),
    result(ids[0], 'first', { multi_content: [{ type: 'text', text: 'first' }, image] }),
    user('hurry, please'),
    answer(writer, '', ids[3]),
    result(ids[3], ''),
    answer(writer, 'It is a cat.'),
    user('sure?'),
  ]
}

const marks = /mark-\w+/g
const pairs = names.flatMap((from) => names.map((to) => [from, to] as const))

/** Whose marks may be read by whom: a provider's own, as long as it is the same model. */
const own = (from: Name, to: Name) => from === to && 'mark-'.concat(from)

describe('a conversation', () => {
  test.each(pairs)('by %s is taken by %s', async (from, to) => {
    const { body } = await sentBy(readers[to], { messages: history(from) })
    providerRules[to](body)
    const text = JSON.stringify(body)
    for (const said of ['Be brief.', 'Let me look.', 'first', 'second', 'hurry, please', 'It is a cat.', 'sure?']) {
      expect(text).toContain(said)
    }
    const found = new Set(text.match(marks))
    expect([...found].filter((mark) => mark !== own(from, to))).toEqual([])
  })

  test.each(pairs)('that %s and %s wrote by turns is taken by all', async (first, second) => {
    const both = [...history(first), ...history(second).slice(1), ...history(first).slice(1)]
    for (const reader of names) providerRules[reader]((await sentBy(readers[reader], { messages: both })).body)
  })

  test.each(names)('that ends with results is taken by %s', async (to) => {
    for (const from of names)
      providerRules[to]((await sentBy(readers[to], { messages: history(from).slice(0, 5) })).body)
  })

  test.each(names)('with ids of any kind is taken by %s', async (to) => {
    const odd = ['', '0', ' ', 'x'.repeat(200), 'functions.look:0', 'ünïcode', 'a/b', '0']
    const messages = odd.flatMap((id) => [user('go'), answer('chat', 'Well.', id), result(id, `result of ${id}`)])
    const { body } = await sentBy(readers[to], { messages })
    providerRules[to](body)
  })

  test.each(['responses', 'anthropic', 'google'] as const)('goes back to %s with its signatures', async (name) => {
    const { body } = await sentBy(readers[name], { messages: history(name) })
    expect(JSON.stringify(body)).toContain(`mark-${name}`)
  })
})

describe('the ids of calls', () => {
  const mistral = { dialect: 'compatible', provider: 'mistral' } as const

  test('stay where they will do, and are replaced in the same way each time', () => {
    const read = (...ids: readonly string[]) => {
      const all = new ToolCallIds(mistral)
      return ids.map((id) => all.next(id))
    }
    expect(read('D681PevKs')).toEqual(['D681PevKs'])
    const [first, second] = read('call_1', 'call_1')
    expect(first).toMatch(/^[a-zA-Z0-9]{9}$/)
    expect(second).not.toBe(first)
    expect(read('call_1', 'call_1')).toEqual([first, second])
    expect(read('call_1', 'call_1', 'call_2').slice(0, 2)).toEqual([first, second])
  })

  test('never meet, not even where one is what another would become', () => {
    const [would = ''] = [new ToolCallIds(mistral).next('call_1')]
    const all = new ToolCallIds(mistral)
    const ids = [all.next(would), all.next('call_1'), all.next(would)]
    expect(new Set(ids).size).toBe(3)
    expect(ids[0]).toBe(would)
  })
})
