import { describe, expect, test } from 'vitest'
import { createModels, type ModelDefinition, ModelFailure } from '../../src/models/models.ts'
import { collect, turn, user } from './collect.ts'
import { chunk, events, httpServer } from './http-server.ts'

const key = 'sk-proj-0123456789abcdefghij'
const env = { OPENAI_API_KEY: key, ANTHROPIC_API_KEY: key, GOOGLE_API_KEY: key, MISTRAL_API_KEY: key }
const openai = { provider: 'openai', model: 'gpt-4o' }
const anthropic = { provider: 'anthropic', model: 'claude-sonnet-4-5' }
const google = { provider: 'google', model: 'gemini-2.5-flash' }
const mistral = { provider: 'mistral', model: 'mistral-small' }

type Answer = { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }

async function failureOf(definition: ModelDefinition, { status, body, headers = {} }: Answer): Promise<ModelFailure> {
  await using server = await httpServer((_, response) => {
    const stream = typeof body === 'string'
    response.writeHead(status, { 'content-type': stream ? 'text/event-stream' : 'application/json', ...headers })
    response.end(stream ? body : JSON.stringify(body))
  })
  const model = await createModels({ env }).open({ ...definition, base_url: server.url })
  const failure = await collect(model, turn([user('hi')])).catch((error: unknown) => error)
  if (!(failure instanceof ModelFailure)) throw new Error('the call did not fail as it should', { cause: failure })
  return failure
}

const anthropicError = (type: string, message: string) => ({ type: 'error', error: { type, message } })
const openaiError = (code: string | null, message: string) => ({
  error: { message, type: 'invalid_request_error', param: null, code },
})
const googleError = (code: number, status: string, message: string, details: readonly object[] = []) => ({
  error: { code, status, message, details },
})
const retryInfo = { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '12s' }
const badKey = {
  '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
  reason: 'API_KEY_INVALID',
  domain: 'googleapis.com',
}

describe('a call that is answered with no', () => {
  test.each<readonly [string, ModelDefinition, Answer, object]>([
    [
      "OpenAI's context overflow by its code",
      openai,
      { status: 400, body: openaiError('context_length_exceeded', 'whatever') },
      { code: 'context_exceeded', reason: 'too_large' },
    ],
    [
      "Anthropic's context overflow, which has no code",
      anthropic,
      {
        status: 400,
        body: anthropicError('invalid_request_error', 'prompt is too long: 210000 tokens > 200000 maximum'),
      },
      { code: 'context_exceeded' },
    ],
    [
      "Google's context overflow, which has no code",
      google,
      {
        status: 400,
        body: googleError(
          400,
          'INVALID_ARGUMENT',
          'The input token count (9) exceeds the maximum number of tokens allowed (8).',
        ),
      },
      { code: 'context_exceeded' },
    ],
    [
      'the same words with another status as what the status says',
      anthropic,
      { status: 403, body: anthropicError('permission_error', 'prompt is too long') },
      { code: 'model_error', reason: 'unauthorized' },
    ],
    [
      'an image that is too large',
      anthropic,
      { status: 400, body: anthropicError('invalid_request_error', 'image exceeds 5 MB maximum: 6 > 5') },
      { code: 'media_too_large' },
    ],
    [
      'a request that is too large',
      anthropic,
      { status: 413, body: anthropicError('request_too_large', 'Request exceeds the maximum size') },
      { code: 'request_too_large' },
    ],
    [
      'an account without quota, which waiting does not help',
      openai,
      { status: 429, body: openaiError('insufficient_quota', 'You exceeded your current quota') },
      { code: 'rate_limited', reason: 'quota_exceeded', retryable: false },
    ],
    [
      "Google's key that is wrong, whose status is 400",
      google,
      { status: 400, body: googleError(400, 'INVALID_ARGUMENT', 'API key not valid.', [badKey]) },
      { reason: 'unauthorized' },
    ],
    [
      "Google's wait in the body",
      google,
      { status: 429, body: googleError(429, 'RESOURCE_EXHAUSTED', 'Quota exceeded', [retryInfo]) },
      { code: 'rate_limited', retryAfterMs: 12_000 },
    ],
    [
      'a wait in milliseconds before one in seconds',
      openai,
      { status: 429, body: openaiError(null, 'slow down'), headers: { 'retry-after': '9', 'retry-after-ms': '1500' } },
      { code: 'rate_limited', retryAfterMs: 1500, retryable: true },
    ],
    [
      'a wait until a date that has passed',
      openai,
      { status: 503, body: {}, headers: { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' } },
      { reason: 'server_error', retryAfterMs: 0, retryable: true },
    ],
    [
      'an overloaded Anthropic',
      anthropic,
      { status: 529, body: anthropicError('overloaded_error', 'Overloaded') },
      { reason: 'server_error', retryable: true },
    ],
    ['an unknown model', mistral, { status: 404, body: { message: 'no such model' } }, { reason: 'unknown_model' }],
    ['a body that is no JSON', mistral, { status: 502, body: '<html>Bad gateway</html>' }, { reason: 'server_error' }],
  ])('tells %s', async (_, definition, answer, expected) => {
    expect(await failureOf(definition, answer)).toMatchObject({ ...expected, status: answer.status })
  })

  test('never repeats the key, nor what looks like one (A4)', async () => {
    const answer = {
      status: 400,
      body: openaiError(null, `bad ${key} and sk-abcdefghijklmnop and AIzaSyA1234567890abcdef`),
    }
    const { message } = await failureOf(openai, answer)
    expect(message).toBe('The model openai/gpt-4o rejected the request (400): bad *** and *** and ***.')
    const wrong = await failureOf(openai, {
      status: 401,
      body: openaiError('invalid_api_key', 'Incorrect: sk-p***ghij'),
    })
    expect(wrong.message).toBe('The model openai/gpt-4o does not accept the API key (401).')
  })

  test('is one line, however long the provider talks', async () => {
    const { message } = await failureOf(mistral, { status: 400, body: { message: 'so\nlong '.repeat(1000) } })
    expect(message).not.toContain('\n')
    expect(message.length).toBeLessThan(400)
  })
})

describe('a stream that turns into an error', () => {
  test.each<readonly [string, ModelDefinition, readonly unknown[], object]>([
    [
      'from OpenAI',
      openai,
      [chunk({ content: 'a' }), { error: { message: 'slow', type: 'requests', code: 'rate_limit_exceeded' } }],
      { code: 'rate_limited' },
    ],
    [
      'from a compatible server that names a status',
      mistral,
      [chunk({ content: 'a' }), { error: { message: 'upstream', code: 502 } }],
      { reason: 'server_error', status: 502 },
    ],
    [
      'from Anthropic',
      anthropic,
      [
        {
          type: 'message_start',
          message: {
            id: 'm',
            type: 'message',
            role: 'assistant',
            content: [],
            model: 'm',
            usage: { input_tokens: 1, output_tokens: 1 },
          },
        },
        { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
        { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'a' } },
        anthropicError('overloaded_error', 'Overloaded'),
      ],
      { reason: 'server_error', retryable: true },
    ],
    [
      'from Google',
      google,
      [
        { candidates: [{ content: { role: 'model', parts: [{ text: 'a' }] } }] },
        googleError(503, 'UNAVAILABLE', 'later'),
      ],
      { reason: 'server_error', retryable: true },
    ],
  ])('is told %s', async (_, definition, values, expected) => {
    expect(await failureOf(definition, { status: 200, body: events(...values) })).toMatchObject(expected)
  })
})

test('tells a server that cannot be reached', async () => {
  const server = await httpServer(() => undefined)
  await server[Symbol.asyncDispose]()
  const model = await createModels({ env }).open({ ...mistral, base_url: `${server.url}/a/path` })
  const failure = await collect(model, turn([user('hi')])).catch((error: unknown) => error)
  expect(failure).toMatchObject({ reason: 'unreachable', retryable: true, code: 'model_error' })
  expect(failure).toHaveProperty(
    'message',
    `The model mistral/mistral-small cannot be reached at ${new URL(server.url).host}.`,
  )
})
