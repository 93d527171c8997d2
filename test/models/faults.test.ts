import { LLMock } from '@copilotkit/aimock'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createModels, type ModelDefinition, ModelFailure, type ModelPart } from '../../src/models/models.ts'
import { collect, turn, user } from './collect.ts'

const mock = new LLMock({ port: 0, logLevel: 'silent' })
const key = 'sk-test-0123456789abcdef'
const env = { OPENAI_API_KEY: key, ANTHROPIC_API_KEY: key, GOOGLE_API_KEY: key, MISTRAL_API_KEY: key }

beforeAll(async () => {
  await mock.start()
})
afterAll(async () => {
  await mock.stop()
})
beforeEach(() => {
  mock.reset()
})

type Kind = { readonly name: string; readonly definition: ModelDefinition; readonly path: string }

const kinds: readonly Kind[] = [
  {
    name: 'OpenAI chat completions',
    definition: { provider: 'openai', model: 'gpt-4o', api_type: 'openai_chatcompletions' },
    path: '/v1',
  },
  {
    name: 'OpenAI Responses',
    definition: { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses' },
    path: '/v1',
  },
  { name: 'Anthropic', definition: { provider: 'anthropic', model: 'claude-sonnet-4-5' }, path: '' },
  { name: 'Gemini', definition: { provider: 'google', model: 'gemini-2.5-flash' }, path: '' },
  { name: 'a compatible server', definition: { provider: 'mistral', model: 'mistral-small' }, path: '/v1' },
]

const long = 'one two three four five six seven eight nine ten eleven twelve'

describe.each(kinds)('$name', ({ definition, path }) => {
  const open = (idleTimeoutMs?: number) =>
    createModels({ env, ...(idleTimeoutMs !== undefined && { idleTimeoutMs }) }).open({
      ...definition,
      base_url: mock.url + path,
    })

  async function failureOf(idleTimeoutMs?: number): Promise<{ failure: ModelFailure; parts: readonly ModelPart[] }> {
    const model = await open(idleTimeoutMs)
    const parts: ModelPart[] = []
    try {
      const signal = new AbortController().signal
      for await (const part of model.stream(turn([user('hello')]), signal)) parts.push(part)
    } catch (error) {
      if (error instanceof ModelFailure) return { failure: error, parts }
      throw error
    }
    throw new Error('the call did not fail')
  }

  test('streams a text and then one finish (A1)', async () => {
    mock.onMessage('hello', { content: long })
    const answer = await collect(await open(), turn([user('hello')]))
    expect(answer.text).toBe(long)
    expect(answer.parts.length).toBeGreaterThan(2)
    expect(answer.finish).toMatchObject({ finish_reason: 'stop', tool_calls: [] })
  })

  test('streams tool calls in pieces that add up', async () => {
    const calls = ['first', 'second'].map((name) => ({
      name,
      arguments: JSON.stringify({ path: `/${name}`, depth: 2 }),
    }))
    mock.onMessage('hello', { toolCalls: calls })
    const { finish, streamed } = await collect(await open(), turn([user('hello')]))
    expect(finish.finish_reason).toBe('tool_calls')
    expect(finish.tool_calls.map((call) => call.function.name)).toEqual(['first', 'second'])
    for (const call of finish.tool_calls) {
      expect(streamed[call.id ?? '']).toEqual(call.function)
      expect(JSON.parse(call.function.arguments ?? '')).toEqual({ path: `/${call.function.name}`, depth: 2 })
    }
  })

  test.each([
    [500, { code: 'model_error', reason: 'server_error', retryable: true }],
    [503, { code: 'model_error', reason: 'server_error', retryable: true }],
    [429, { code: 'rate_limited', reason: 'rate_limited', retryable: true, retryAfterMs: 7000 }],
    [401, { code: 'model_error', reason: 'unauthorized', retryable: false }],
    [400, { code: 'model_error', reason: 'rejected', retryable: false }],
    [413, { code: 'request_too_large', reason: 'too_large', retryable: false }],
  ] as const)('tells status %i after one request (A3)', async (status, expected) => {
    mock.onMessage('hello', { error: { message: `no: ${key}` }, status, retryAfter: 7 })
    const { failure, parts } = await failureOf()
    expect(failure).toMatchObject({ ...expected, status })
    expect(parts).toEqual([])
    expect(failure.message).toContain(`${definition.provider}/${definition.model}`)
    expect(failure.message).not.toContain(key)
    expect(mock.getRequests()).toHaveLength(1)
  })

  test('tells a stream that is cut half-way, after what had come (A1)', async () => {
    mock.on({ userMessage: 'hello' }, { content: long }, { truncateAfterChunks: 6, chunkSize: 5, latency: 5 })
    const { failure, parts } = await failureOf()
    expect(failure).toMatchObject({ code: 'model_error', reason: 'cut', retryable: true })
    const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
    expect(long.startsWith(text)).toBe(true)
    expect(parts.some((part) => part.type === 'finish')).toBe(false)
  })

  test('tells a connection that closes before an answer', async () => {
    mock.on({ userMessage: 'hello' }, { content: long }, { chaos: { disconnectRate: 1 } })
    const { failure } = await failureOf()
    expect(failure).toMatchObject({ code: 'model_error', retryable: true })
    expect(['cut', 'unreachable']).toContain(failure.reason)
  })

  test('tells an answer that is no stream at all', async () => {
    mock.on({ userMessage: 'hello' }, { content: long }, { chaos: { malformedRate: 1 } })
    const { failure } = await failureOf()
    expect(failure).toMatchObject({ code: 'model_error', retryable: true })
    expect(['cut', 'malformed']).toContain(failure.reason)
  })

  test('gives up on a server that says nothing', async () => {
    mock.on({ userMessage: 'hello' }, { content: long }, { latency: 60_000 })
    const { failure } = await failureOf(50)
    expect(failure).toMatchObject({ code: 'model_error', reason: 'idle', retryable: true })
  })
})
