import { existsSync } from 'node:fs'
import { LLMock } from '@copilotkit/aimock'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createModels, type ModelDefinition } from '../../src/models/models.ts'
import type { ChatMessage, Tool } from '../../src/protocol/protocol.ts'
import { collect, turn, user } from './collect.ts'
import { type RecordingProxy, recordingProxy } from './recording-proxy.ts'
import { cassette, recordings } from './replay-server.ts'
import { type Api, apis, wrongInRequest } from './request-schema.ts'

const env = { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', GOOGLE_API_KEY: 'k', MISTRAL_API_KEY: 'k' }
const png = 'data:image/png;base64,iVBORw0KGgo='

const kinds: readonly (readonly [Api, ModelDefinition, string])[] = [
  ['openai-chat', { provider: 'openai', model: 'gpt-4o' }, '/v1'],
  ['openai-responses', { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses' }, '/v1'],
  ['anthropic', { provider: 'anthropic', model: 'claude-sonnet-4-5' }, ''],
  ['google', { provider: 'google', model: 'gemini-2.5-flash' }, ''],
  ['mistral', { provider: 'mistral', model: 'mistral-small' }, '/v1'],
]

const tools: readonly Tool[] = [
  {
    name: 'look',
    category: 'test',
    description: 'Looks at a place.',
    parameters: {
      type: 'object',
      properties: {
        at: { type: 'string' },
        depth: { type: 'integer', minimum: 0 },
        how: { anyOf: [{ type: 'string', enum: ['near', 'far'] }, { type: 'null' }] },
        tags: { type: 'array', items: { type: 'string' } },
        more: { type: 'object', additionalProperties: true },
        any: {},
      },
      required: ['at'],
      additionalProperties: false,
    },
    annotations: {},
    outputSchema: null,
  },
  { name: 'mcp__bare-tool', category: 'test', parameters: null, annotations: {}, outputSchema: null },
]

const call = (id: string, args = '{"at":"Rome"}') => {
  return { id, type: 'function' as const, function: { name: 'look', arguments: args } }
}
const answer = (content: string, more: Partial<ChatMessage> = {}): ChatMessage => {
  return { role: 'assistant', content, ...more }
}
const result = (id: string, content: string, more: Partial<ChatMessage> = {}): ChatMessage => {
  return { role: 'tool', content, tool_call_id: id, ...more }
}

/** An answer with reasoning, text and two calls, with what its provider wants to see again. */
function thoughtful(provider: string, model: string, ids: readonly [string, string], metadata?: object): ChatMessage {
  const blocks = [
    { kind: 'reasoning', length: 10, ...(metadata && { metadata }) },
    { kind: 'text', length: 12 },
    ...ids.map((id) => ({ kind: 'tool_call', length: 0, id })),
  ]
  return answer('Let me look.', {
    reasoning_content: 'I look now',
    model: `${provider}/${model}`,
    finish_reason: 'tool_calls',
    tool_calls: ids.map((id) => call(id)),
    provider_metadata: { [provider]: { model, blocks } },
  })
}

/** All that a history may hold: attachments, parallel calls of every provider, results that fail, show or are missing. */
const everything: readonly ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'system', content: 'Use the tools.' },
  {
    role: 'user',
    content: 'What is this?',
    multi_content: [
      { type: 'text', text: 'What is this?' },
      { type: 'image_url', image_url: { url: png } },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
      {
        type: 'document',
        document: { name: 'a.pdf', mime_type: 'application/pdf', source: { inline_data: 'JVBERg==' } },
      },
      { type: 'document', document: { name: 'a.txt', mime_type: 'text/plain', source: { inline_text: 'Grüße' } } },
      { type: 'file', file: { path: '/etc/passwd' } },
    ],
  },
  thoughtful('anthropic', 'claude-sonnet-4-5', ['toolu_01A', 'toolu_01B'], { signature: 'c2ln' }),
  result('toolu_01B', 'second'),
  result('toolu_01A', 'No such place.', { is_error: true }),
  thoughtful('openai', 'gpt-5', ['call_abcdefghijklmnopqrstuvwx', 'call_2'], {
    itemId: 'rs_1',
    reasoningEncryptedContent: 'ZW5j',
  }),
  result('call_abcdefghijklmnopqrstuvwx', 'see', {
    multi_content: [
      { type: 'text', text: 'see' },
      { type: 'image_url', image_url: { url: png } },
    ],
  }),
  { role: 'user', content: 'And in Paris?' },
  thoughtful('google', 'gemini-2.5-flash', ['g-1', 'g-2'], { thoughtSignature: 'c2ln' }),
  result('g-1', ''),
  result('g-2', '{"temperature":21,"unit":"C"}'),
  thoughtful('mistral', 'mistral-small', ['abcdefgh1', 'abcdefgh2']),
  result('abcdefgh1', 'one'),
  result('abcdefgh2', 'two'),
  answer('', { tool_calls: [call('call_3', '{"at":')] }),
  result('call_3', 'The arguments are no JSON.', { is_error: true }),
  answer('', { tool_calls: [call('functions.look:0'), call('long'.repeat(20))] }),
  result('functions.look:0', 'three'),
  answer('It is sunny.', { reasoning_content: 'unsigned' }),
  { role: 'system', content: 'Someone has joined.' },
  { role: 'user', content: 'Thank you' },
]

const mock = new LLMock({ port: 0, logLevel: 'silent' })
let proxy: RecordingProxy

beforeAll(async () => {
  await mock.start()
  mock.on({}, { content: 'All is well.' })
  proxy = await recordingProxy(mock.url)
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await mock.stop()
})

/** The body that a call of this model sends. */
async function sent(
  definition: ModelDefinition,
  path: string,
  messages: readonly ChatMessage[],
  more: Parameters<typeof turn>[1] = { tools },
): Promise<unknown> {
  const model = await createModels({ env }).open({ ...definition, base_url: proxy.url + path })
  const before = proxy.passed.length
  await collect(model, turn(messages, more))
  expect(proxy.passed).toHaveLength(before + 1)
  return proxy.passed[before]?.body
}

describe.each(kinds)('a request to %s', (api, definition, path) => {
  test('fits the published schema with all that a history may hold', async () => {
    expect(wrongInRequest(api, await sent(definition, path, everything))).toEqual([])
  })

  test.each([
    { thinking_budget: 2048 },
    { thinking_budget: 'high' },
    { thinking_budget: 'none' },
    { thinking_budget: 'adaptive' },
    { temperature: 0.5, top_p: 0.9, max_tokens: 4096 },
    { parallel_tool_calls: true },
    { parallel_tool_calls: false },
  ] as const)('fits it with the setting %o', async (setting) => {
    const body = await sent({ ...definition, ...setting }, path, everything)
    expect(wrongInRequest(api, body)).toEqual([])
  })

  test('fits it without tools, as a title is asked for', async () => {
    const more = { purpose: 'title', maxOutputTokens: 20, thinking: 'off' } as const
    expect(wrongInRequest(api, await sent(definition, path, [user('hello')], more))).toEqual([])
  })
})

const text = [{ type: 'text', text: 'hi' }]
const parameters = { type: 'object', properties: { at: { type: 'string' } } }
const fn = { name: 'look', description: 'Looks.', parameters }

/** A small body of each provider that is right. */
const right: Readonly<Record<Api, object>> = {
  'openai-chat': {
    model: 'm',
    stream: true,
    messages: [
      { role: 'user', content: text },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'R' },
    ],
    tools: [{ type: 'function', function: fn }],
  },
  'openai-responses': {
    model: 'm',
    stream: true,
    store: false,
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
      { type: 'function_call', call_id: 'a', name: 'look', arguments: '{}' },
      { type: 'function_call_output', call_id: 'a', output: 'R' },
    ],
    tools: [{ type: 'function', strict: false, ...fn }],
  },
  anthropic: {
    model: 'm',
    stream: true,
    max_tokens: 9,
    messages: [
      { role: 'user', content: text },
      { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'look', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'R' }] },
    ],
    tools: [{ name: 'look', description: 'Looks.', input_schema: parameters }],
  },
  google: {
    contents: [
      { role: 'user', parts: [{ text: 'hi' }] },
      { role: 'model', parts: [{ functionCall: { id: 'a', name: 'look', args: {} } }] },
      { role: 'user', parts: [{ functionResponse: { id: 'a', name: 'look', response: { result: 'R' } } }] },
    ],
    tools: [{ functionDeclarations: [{ name: 'look', description: 'Looks.', parametersJsonSchema: parameters }] }],
  },
  mistral: {
    model: 'm',
    stream: true,
    messages: [
      { role: 'user', content: text },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ id: 'abcdefgh1', type: 'function', function: { name: 'look', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'abcdefgh1', content: 'R' },
    ],
    tools: [{ type: 'function', function: fn }],
  },
}

/** One mistake each: what stands in the body's JSON, what is put there instead, and what must be said about it. */
const mistakes: readonly (readonly [Api, string, string, string])[] = [
  ['openai-chat', '"model":"m",', '', "property 'model'"],
  ['openai-chat', '"role":"user"', '"role":"human"', 'tag "role"'],
  ['openai-chat', '"stream":true', '"stream":true,"thinking":{}', 'thinking'],
  ['openai-chat', '"tool_call_id":"a"', '"toolCallId":"a"', "property 'tool_call_id'"],
  ['openai-chat', '"arguments":"{}"', '"arguments":{}', 'must be string'],
  ['openai-chat', '"name":"look","description"', '"name":"look at","description"', 'pattern'],
  ['openai-responses', '"strict":false,', '', "property 'strict'"],
  ['openai-responses', '"role":"user"', '"role":"tool"', '/input/0/role'],
  ['openai-responses', '"type":"input_text"', '"type":"text"', 'tag "type"'],
  ['openai-responses', '"call_id":"a","name"', '"id":"a","name"', "property 'call_id'"],
  ['openai-responses', '"output":"R"', '"output":{"text":"R"}', '/input/2/output'],
  ['openai-responses', '"store":false', '"store":false,"stream_options":{"include_usage":true}', 'include_usage'],
  ['anthropic', '"max_tokens":9,', '', "property 'max_tokens'"],
  ['anthropic', '"role":"assistant"', '"role":"model"', 'tag "role"'],
  ['anthropic', '"type":"tool_result"', '"type":"function"', 'tag "type"'],
  ['anthropic', '"input":{}', '"input":"{}"', 'must be object'],
  ['anthropic', '"id":"a"', '"id":"a:1"', 'pattern'],
  ['anthropic', '"content":"R"', '"content":"R","name":"look"', 'name'],
  ['google', '"role":"model"', '"role":"assistant"', '/contents/1/role'],
  ['google', '"parts":[{"text"', '"parts":[{"type":"text","text"', 'type'],
  ['google', '"response":{"result":"R"}', '"response":"R"', 'must be object'],
  ['google', '"args":{}}', '"args":{}},"text":"two in one"', '/contents/1/parts/0'],
  ['google', '"name":"look","response"', '"response"', "property 'name'"],
  ['mistral', '"role":"tool"', '"role":"function"', 'tag "role"'],
  ['mistral', '"id":"abcdefgh1"', '"id":"call_1"', 'pattern'],
  ['mistral', '"tool_call_id":"abcdefgh1"', '"tool_call_id":"call_1"', 'pattern'],
  ['mistral', '"model":"m",', '', "property 'model'"],
  ['mistral', '"content":""', '"content":"","reasoning_content":"hm"', 'reasoning_content'],
]

const there = existsSync(recordings)
const recorded = there ? 'takes what was recorded in' : 'takes recorded requests (skipped: ../shared is not there)'

describe('a published schema', () => {
  test.skipIf(!there).each([
    ['openai-chat', 'exec-openai.yaml'],
    ['openai-chat', 'exec-openai-toolcall.yaml'],
    ['openai-chat', 'runtime-openai-basic.yaml'],
    ['anthropic', 'exec-anthropic.yaml'],
    ['anthropic', 'exec-anthropic-toolcall.yaml'],
    ['google', 'exec-gemini.yaml'],
    ['google', 'exec-gemini-toolcall.yaml'],
    ['mistral', 'exec-mistral.yaml'],
  ] as const)(`of %s ${recorded} %s, as the provider did`, (api, name) => {
    for (const { sent } of cassette(name)) expect(wrongInRequest(api, sent)).toEqual([])
  })

  test.each(apis)('of %s takes a body that is right', (api) => {
    expect(wrongInRequest(api, right[api])).toEqual([])
  })

  test.each(mistakes)('of %s refuses one with %s made %s', (api, place, mistake, told) => {
    const body = JSON.stringify(right[api])
    expect(body.split(place)).toHaveLength(2)
    expect(wrongInRequest(api, JSON.parse(body.replace(place, mistake))).join('\n')).toContain(told)
  })
})
