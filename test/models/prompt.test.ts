import { LLMock } from '@copilotkit/aimock'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createModels, type ModelDefinition } from '../../src/models/models.ts'
import { prompt } from '../../src/models/prompt.ts'
import type { ChatMessage } from '../../src/protocol/protocol.ts'
import { collect, stored, turn, user } from './collect.ts'
import { type RecordingProxy, recordingProxy } from './recording-proxy.ts'
import { type Api, wrongInRequest } from './request-schema.ts'

const anthropic = { dialect: 'anthropic', provider: 'anthropic', model: 'claude-sonnet-4-5' } as const
const chat = { dialect: 'openai_chat', provider: 'openai', model: 'gpt-4o' } as const
const mistral = { dialect: 'compatible', provider: 'mistral', model: 'mistral-small' } as const
const google = { dialect: 'google', provider: 'google', model: 'gemini-2.5-flash' } as const

const system = (content: string): ChatMessage => ({ role: 'system', content })
const said = (content: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  role: 'assistant',
  content,
  ...more,
})
const called = (...ids: readonly string[]): ChatMessage =>
  said('', {
    tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'look', arguments: '{"at":1}' } })),
  })
const result = (id: string, content: string, more: Partial<ChatMessage> = {}): ChatMessage => {
  return { role: 'tool', content, tool_call_id: id, ...more }
}
const text = (content: string) => ({ type: 'text', text: content })

describe('a transcript', () => {
  test('leaves out interrupted answers with their calls, and messages that hold nothing', () => {
    const messages = [
      user('one'),
      { ...called('a'), finish_reason: 'interrupted' as const },
      result('a', 'half'),
      said(''),
      user(''),
      user('two'),
    ]
    expect(prompt(messages, chat)).toEqual([
      { role: 'user', content: [text('one')] },
      { role: 'user', content: [text('two')] },
    ])
  })

  test('puts results behind their calls in the order of the calls, and makes up what is missing', () => {
    const messages = [
      user('go'),
      called('a', 'b', 'c'),
      result('c', 'C'),
      user('and?'),
      result('a', 'A'),
      result('x', 'X'),
    ]
    const [, , results, steered, ...rest] = prompt(messages, chat)
    expect(results).toMatchObject({
      role: 'tool',
      content: [
        { toolCallId: 'a', toolName: 'look', output: { type: 'text', value: 'A' } },
        { toolCallId: 'b', output: { type: 'error-text' } },
        { toolCallId: 'c', output: { type: 'text', value: 'C' } },
      ],
    })
    expect(steered).toEqual({ role: 'user', content: [text('and?')] })
    expect(rest).toEqual([])
  })

  test('keeps the results of equal ids in different answers apart', () => {
    const messages = [user('go'), called('0'), result('0', 'first'), called('0'), result('0', 'second')]
    const results = prompt(messages, chat).filter((message) => message.role === 'tool')
    expect(results).toMatchObject([
      { content: [{ output: { value: 'first' } }] },
      { content: [{ output: { value: 'second' } }] },
    ])
  })

  test('says late instructions as the user where the provider takes them at the start only', () => {
    const messages = [system('a'), system('b'), user('hi'), system('late')]
    const roles = (reader: Parameters<typeof prompt>[1]) => prompt(messages, reader).map((message) => message.role)
    expect(roles(chat)).toEqual(['system', 'system', 'user', 'system'])
    expect(roles(google)).toEqual(['system', 'system', 'user', 'user'])
    expect(roles(anthropic)).toEqual(['system', 'system', 'user', 'user'])
  })

  test('marks for the cache what the next call to Anthropic repeats', () => {
    const marked = prompt([system('a'), user('1'), said('2'), user('3')], anthropic).map((message) => {
      return message.providerOptions !== undefined
    })
    expect(marked).toEqual([true, false, true, true])
  })

  test('marks the end of what stays as it is, where the request says so', () => {
    const messages = [system('who'), system('tools'), system('today'), user('1'), said('2'), user('3')]
    const marked = prompt(messages, anthropic, 2).map((message) => message.providerOptions !== undefined)
    expect(marked).toEqual([false, true, false, false, true, true])
  })

  test('sends an object for arguments that are no JSON', () => {
    const broken = said('', {
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{"at":' } }],
    })
    expect(prompt([user('go'), broken, result('a', 'bad arguments')], chat)[1]).toMatchObject({
      content: [{ input: {} }],
    })
  })
})

describe('attachments', () => {
  const png = 'iVBORw0KGgo='
  const sent = (
    parts: NonNullable<ChatMessage['multi_content']>,
    reader: Parameters<typeof prompt>[1] = chat,
    content = '',
  ) => prompt([{ role: 'user', content, multi_content: parts }], reader)[0]?.content

  test('are images, PDFs and texts', () => {
    const parts = sent([
      { type: 'text', text: 'look' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
      {
        type: 'document',
        document: { name: 'a.pdf', mime_type: 'application/pdf', source: { inline_data: 'JVBERg==' } },
      },
      { type: 'document', document: { name: 'a.txt', mime_type: 'text/plain', source: { inline_text: 'Grüße' } } },
      {
        type: 'document',
        document: { name: 'b.txt', mime_type: 'text/plain', source: { inline_data: btoa('plain') } },
      },
    ])
    expect(parts).toEqual([
      text('look'),
      { type: 'file', mediaType: 'image/png', data: { type: 'data', data: png } },
      { type: 'file', mediaType: 'application/pdf', data: { type: 'data', data: 'JVBERg==' }, filename: 'a.pdf' },
      text('<document name="a.txt">\nGrüße\n</document>'),
      text('<document name="b.txt">\nplain\n</document>'),
    ])
  })

  test('follow the text of a message that has its text in content only', () => {
    const parts = sent([{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }], chat, 'what is it?')
    expect(parts).toMatchObject([text('what is it?'), { type: 'file', data: { type: 'url' } }])
  })

  test('are told by name where they cannot be sent, and no file of this machine is read', () => {
    expect(sent([{ type: 'file', file: { path: '/etc/passwd' } }])).toEqual([
      text('[attachment /etc/passwd: only a reference to it is here]'),
    ])
    const remote = [{ type: 'image_url' as const, image_url: { url: 'https://example.com/a.png' } }]
    expect(sent(remote, google)).toEqual([
      text('[attachment https://example.com/a.png: it is not an image that can be shown]'),
    ])
    expect(sent([{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }])).toMatchObject([{ type: 'text' }])
    const zip = { name: 'a.zip', mime_type: 'application/zip', source: { inline_data: 'UEs=' } }
    expect(sent([{ type: 'document', document: zip }])).toEqual([
      text('[attachment a.zip: application/zip cannot be shown]'),
    ])
    const sound = { mime_type: 'audio/wav', source: { inline_data: 'UklGRg==' } }
    expect(sent([{ type: 'document', document: sound }])).toEqual([
      text('[attachment document: audio/wav cannot be shown]'),
    ])
    expect(sent([{ type: 'document', document: { name: 'score', mime_type: 'text/plain' } }])).toEqual([
      text('[attachment score: only a reference to it is here]'),
    ])
  })

  test('are told by name to a model that cannot be shown them', () => {
    const parts: NonNullable<ChatMessage['multi_content']> = [
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
      { type: 'document', document: { name: 'b.png', mime_type: 'image/png', source: { inline_data: png } } },
      {
        type: 'document',
        document: { name: 'a.pdf', mime_type: 'application/pdf', source: { inline_data: 'JVBERg==' } },
      },
    ]
    const noted = [
      text('[attachment an image: this model takes no images]'),
      text('[attachment https://example.com/a.png: this model takes no images]'),
      text('[attachment b.png: this model takes no images]'),
    ]
    const pdf = text('[attachment a.pdf: this model takes no PDFs]')
    expect(sent(parts, { ...chat, capabilities: { image: false, pdf: false } })).toEqual([...noted, pdf])
    expect(sent(parts, { ...chat, capabilities: { image: false } })).toMatchObject([...noted, { type: 'file' }])
    expect(sent(parts, { ...chat, capabilities: { image: true, pdf: false } })).toMatchObject([
      { type: 'file' },
      { type: 'file' },
      { type: 'file' },
      pdf,
    ])
    const image = { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${png}` } }
    const messages = [user('go'), called('a'), result('a', 'see', { multi_content: [image] })]
    expect(JSON.stringify(prompt(messages, { ...anthropic, capabilities: { image: false } }))).not.toContain(png)
  })

  test('are no PDFs where those are not taken', () => {
    const pdf = { name: 'a.pdf', mime_type: 'application/pdf', source: { inline_data: 'JVBERg==' } }
    expect(sent([{ type: 'document', document: pdf }], mistral)).toEqual([
      text('[attachment a.pdf: this model takes no PDFs]'),
    ])
  })

  test('of a result go into it, or follow it where results are text', () => {
    const image = { type: 'image_url' as const, image_url: { url: `data:image/png;base64,${png}` } }
    const messages = [
      user('go'),
      called('a'),
      result('a', 'see', { multi_content: [{ type: 'text', text: 'see' }, image] }),
    ]
    expect(prompt(messages, anthropic)[2]).toMatchObject({
      content: [{ output: { type: 'content', value: [text('see'), { type: 'file', mediaType: 'image/png' }] } }],
    })
    const [, , results, following] = prompt(messages, chat)
    expect(results).toMatchObject({ content: [{ output: { type: 'text', value: 'see' } }] })
    expect(following).toMatchObject({ role: 'user', content: [text('From the result of look:'), { type: 'file' }] })
  })
})

describe('reasoning', () => {
  const signed = said('It is 4.', {
    reasoning_content: '2 and 2',
    model: 'anthropic/claude-sonnet-4-5',
    thinking_signature: 'sig',
  })

  test('of the ancestor goes back to the provider that signed it', () => {
    expect(prompt([user('2+2?'), signed], anthropic)[1]?.content).toEqual([
      { type: 'reasoning', text: '2 and 2', providerOptions: { anthropic: { signature: 'sig' } } },
      text('It is 4.'),
    ])
  })

  test.each([chat, google])('stays away from $provider when another provider wrote it', (reader) => {
    expect(prompt([user('2+2?'), signed], reader)[1]?.content).toEqual([text('It is 4.')])
  })

  test('stays behind once the message has been edited', () => {
    const blocks = [
      { kind: 'reasoning', length: 7, metadata: { signature: 'sig' } },
      { kind: 'text', length: 8 },
    ]
    const own = { ...signed, provider_metadata: { anthropic: { model: 'claude-sonnet-4-5', blocks } } }
    expect(prompt([user('2+2?'), own], anthropic)[1]?.content).toHaveLength(2)
    expect(prompt([user('2+2?'), { ...own, content: 'It is 5, I think.' }], anthropic)[1]?.content).toEqual([
      text('It is 5, I think.'),
    ])
  })
})

describe('an answer with reasoning and calls, told by one provider and sent to another', () => {
  const mock = new LLMock({ port: 0, logLevel: 'silent' })
  const env = { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', GOOGLE_API_KEY: 'k', MISTRAL_API_KEY: 'k' }
  const claude = { provider: 'anthropic', model: 'claude-sonnet-4-5', thinking_budget: 2048 }
  const kinds: readonly (readonly [Api, ModelDefinition, string])[] = [
    ['openai-chat', { provider: 'openai', model: 'gpt-4o' }, '/v1'],
    ['openai-responses', { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses' }, '/v1'],
    ['anthropic', claude, ''],
    ['google', { provider: 'google', model: 'gemini-2.5-flash' }, ''],
    ['mistral', { provider: 'mistral', model: 'mistral-small' }, '/v1'],
  ]
  let proxy: RecordingProxy

  beforeAll(async () => {
    await mock.start()
    proxy = await recordingProxy(mock.url)
  })
  afterAll(async () => {
    await proxy[Symbol.asyncDispose]()
    await mock.stop()
  })
  beforeEach(() => {
    mock.reset()
    mock.on({ hasToolResult: true }, { content: 'It is sunny.' })
    mock.on(
      { userMessage: 'weather' },
      {
        content: 'Let me look.',
        reasoning: 'I should look.',
        reasoningSignature: 'c2lnbmF0dXJl',
        toolCalls: [{ name: 'look', arguments: '{"at":"Rome"}' }],
      },
    )
  })

  const open = (definition: ModelDefinition, path: string) =>
    createModels({ env }).open({ ...definition, base_url: proxy.url + path })

  const pairs = kinds.flatMap((from) => kinds.map((to) => [from[0], to[0], from, to] as const))

  test.each(pairs)(
    'goes from %s to %s as its schema wants it',
    async (_from, to, [, writer, writerPath], [, reader, readerPath]) => {
      const first = await open(writer, writerPath)
      const answer = await collect(first, turn([user('weather')]))
      const message = stored(first, answer)
      const [call] = message.tool_calls ?? []
      expect(message).toMatchObject({ content: 'Let me look.', finish_reason: 'tool_calls' })
      const messages = [user('weather'), message, result(call?.id ?? '', 'sunny')]
      const next = await collect(await open(reader, readerPath), turn(messages))
      expect(next.text).toBe('It is sunny.')

      const sent = proxy.passed.at(-1)?.body
      expect(wrongInRequest(to, sent)).toEqual([])
      expect(JSON.stringify(sent)).toContain('Rome')
      expect(JSON.stringify(sent)).toContain('Let me look.')
    },
  )

  test('gives Anthropic its own reasoning back as it was signed', async () => {
    const model = await open(claude, '')
    const message = stored(model, await collect(model, turn([user('weather')])))
    expect(message).toMatchObject({ reasoning_content: 'I should look.', thinking_signature: 'c2lnbmF0dXJl' })
    expect(prompt([user('weather'), message], anthropic)[1]?.content).toMatchObject([
      { type: 'reasoning', text: 'I should look.', providerOptions: { anthropic: { signature: 'c2lnbmF0dXJl' } } },
      { type: 'text', text: 'Let me look.' },
      { type: 'tool-call', toolName: 'look', input: { at: 'Rome' } },
    ])
  })
})
