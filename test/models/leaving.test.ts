import { getEventListeners, once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { createModels, type ModelDefinition, ModelFailure } from '../../src/models/models.ts'
import { collect, turn, user } from './collect.ts'
import { chunk, events, httpServer } from './http-server.ts'

const env = { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', GOOGLE_API_KEY: 'k', MISTRAL_API_KEY: 'k' }

const responsesStart = [
  { type: 'response.created', response: { id: 'r', created_at: 1, model: 'm' } },
  { type: 'response.output_item.added', output_index: 0, item: { type: 'message', id: 'i', role: 'assistant' } },
  { type: 'response.output_text.delta', item_id: 'i', output_index: 0, delta: 'Hello' },
]
const anthropicStart = [
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
  { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
]

/** The beginning of an answer, which the server leaves at that. */
const kinds: readonly { name: string; definition: ModelDefinition; path: string; start: readonly unknown[] }[] = [
  {
    name: 'OpenAI chat completions',
    definition: { provider: 'openai', model: 'gpt-4o' },
    path: '/v1',
    start: [chunk({ role: 'assistant', content: 'Hello' })],
  },
  {
    name: 'OpenAI Responses',
    definition: { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses' },
    path: '/v1',
    start: responsesStart,
  },
  {
    name: 'Anthropic',
    definition: { provider: 'anthropic', model: 'claude-sonnet-4-5' },
    path: '',
    start: anthropicStart,
  },
  {
    name: 'Gemini',
    definition: { provider: 'google', model: 'gemini-2.5-flash' },
    path: '',
    start: [{ candidates: [{ content: { role: 'model', parts: [{ text: 'Hello' }] } }] }],
  },
  {
    name: 'a compatible server',
    definition: { provider: 'mistral', model: 'mistral-small' },
    path: '/v1',
    start: [chunk({ role: 'assistant', content: 'Hello' })],
  },
]

/** Answers with what it is given and never ends; `closed` settles when the client's connection is gone. */
async function hanging(text: string) {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const server = await httpServer(async (_, response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    response.write(text)
    await once(response, 'close')
    resolve()
  })
  return { ...server, closed }
}

describe.each(kinds)('$name', ({ definition, path, start }) => {
  const open = (url: string, idleTimeoutMs = 60_000) =>
    createModels({ env, idleTimeoutMs }).open({ ...definition, base_url: url + path })

  test('leaves soon after the signal and closes the connection (A2)', async () => {
    await using server = await hanging(events(...start))
    const stop = new AbortController()
    const reason = new Error('the run was stopped')
    const read = async () => {
      for await (const part of (await open(server.url)).stream(turn([user('hi')]), stop.signal)) {
        expect(part).toEqual({ type: 'text', text: 'Hello' })
        stop.abort(reason)
      }
    }
    await expect(read()).rejects.toBe(reason)
    await server.closed
  })

  test('leaves after a signal that comes before the first byte', async () => {
    const stop = new AbortController()
    const reason = new Error('the run was stopped')
    const { promise: closed, resolve } = Promise.withResolvers<void>()
    await using server = await httpServer(async (_, response) => {
      stop.abort(reason)
      await once(response, 'close')
      resolve()
    })
    await expect(collect(await open(server.url), turn([user('hi')]), stop.signal)).rejects.toBe(reason)
    await closed
  })

  test('closes the connection of a reader that leaves (A2)', async () => {
    await using server = await hanging(events(...start))
    for await (const part of (await open(server.url)).stream(turn([user('hi')]), new AbortController().signal)) {
      expect(part.type).toBe('text')
      break
    }
    await server.closed
  })

  test('gives up on a stream that falls silent, and closes it', async () => {
    await using server = await hanging(events(...start))
    const failure = await collect(await open(server.url, 50), turn([user('hi')])).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ModelFailure)
    expect(failure).toMatchObject({ reason: 'idle', retryable: true })
    await server.closed
  })

  test('tells data that is no JSON', async () => {
    await using server = await hanging(events(...start, '{"choices": [{'))
    const failure = await collect(await open(server.url), turn([user('hi')])).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'model_error', reason: 'malformed', retryable: true })
    await server.closed
  })

  test('tells data that is no JSON from the first byte on', async () => {
    await using server = await hanging(events('<html>'))
    const failure = await collect(await open(server.url), turn([user('hi')])).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'model_error', reason: 'malformed', retryable: true })
    await server.closed
  })

  test('tells a stream that ends in order but without its end', async () => {
    await using server = await httpServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events(...start))
    })
    const failure = await collect(await open(server.url), turn([user('hi')])).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'model_error', reason: 'cut', retryable: true })
  })
})

test('leaves no listener on the signal', async () => {
  await using server = await httpServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(events(chunk({ content: 'Hello' }), chunk({}, 'stop'), '[DONE]'))
  })
  const model = await createModels({ env }).open({ provider: 'mistral', model: 'm', base_url: server.url })
  const { signal } = new AbortController()
  await collect(model, turn([user('hi')]), signal)
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
