import { expect, test } from 'vitest'
import { createModels } from '../../src/models/models.ts'
import { collect, turn, user } from './collect.ts'
import { chunk, events, httpServer } from './http-server.ts'

const call = (index: number, args: string) => ({
  tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name: 'look', arguments: args } }],
})

test.each([
  ['openai', 'gpt-4o'],
  ['mistral', 'mistral-small-latest'],
])('drops the call that the limit of an answer of %s cut, and keeps the whole ones', async (provider, model) => {
  const deltas = [chunk(call(0, '{"at":"Rome"}')), chunk(call(1, '{"at":"Ber')), chunk({}, 'length')]
  await using server = await httpServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events(...deltas, '[DONE]'))
  })
  const models = createModels({ env: { OPENAI_API_KEY: 'k', MISTRAL_API_KEY: 'k' } })
  const opened = await models.open({ provider, model, base_url: `${server.url}/v1` })
  const { finish } = await collect(opened, turn([user('hi')]))
  expect(finish.finish_reason).toBe('length')
  expect(finish.tool_calls.map(({ id }) => id)).toEqual(['call_0'])
})
