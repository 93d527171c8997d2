import { expect, test } from 'vitest'
import { createModels, type ModelDefinition } from '../../src/models/models.ts'
import type { Tool } from '../../src/protocol/protocol.ts'
import { collect, turn, user } from './collect.ts'
import { sentBy } from './sent-by.ts'

const schema = {
  type: 'object',
  properties: { answer: { type: 'string' } },
  required: ['answer'],
  additionalProperties: false,
}
const format = { name: 'verdict', description: 'What it comes to', schema }
const named = { name: 'verdict', description: 'What it comes to', schema, strict: false }
const tool: Tool = {
  name: 'look',
  category: 'x',
  parameters: { type: 'object', properties: {} },
  annotations: {},
  outputSchema: null,
}

const kinds: readonly (readonly [string, ModelDefinition, object])[] = [
  [
    'chat completions',
    { provider: 'openai', model: 'gpt-4o' },
    { response_format: { type: 'json_schema', json_schema: named } },
  ],
  [
    'Responses',
    { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses' },
    { text: { format: { type: 'json_schema', ...named } } },
  ],
  [
    'Mistral',
    { provider: 'mistral', model: 'mistral-small-latest' },
    { response_format: { type: 'json_schema', json_schema: named } },
  ],
  [
    'Anthropic',
    { provider: 'anthropic', model: 'claude-sonnet-4-5' },
    { output_config: { format: { type: 'json_schema' } } },
  ],
  [
    'Google',
    { provider: 'google', model: 'gemini-2.5-flash' },
    { generationConfig: { responseMimeType: 'application/json', responseJsonSchema: { type: 'object' } } },
  ],
]

test.each(kinds)('holds an answer of %s to a schema', async (_, definition, expected) => {
  expect((await sentBy(definition, { format })).body).toMatchObject(expected)
})

test.each(kinds)('sends %s the tools beside the schema', async (_, definition) => {
  expect(JSON.stringify((await sentBy(definition, { format, tools: [tool] })).body)).toContain('"look"')
})

test.each(kinds)('asks %s for no schema outside a turn', async (_, definition) => {
  const { body } = await sentBy(definition, { format, purpose: 'compaction' })
  expect(JSON.stringify(body)).not.toContain('verdict')
  expect(JSON.stringify(body)).not.toContain('additionalProperties')
})

test('is strict where that is asked for', async () => {
  const strict = { ...format, strict: true }
  const { body } = await sentBy({ provider: 'openai', model: 'gpt-4o' }, { format: strict })
  expect(body).toMatchObject({ response_format: { json_schema: { strict: true } } })
})

test('means nothing to a scripted model', async () => {
  const script = [[{ text: 'words' }]]
  const model = await createModels({ env: {} }).open({ provider: 'scripted', model: 'm', provider_opts: { script } })
  expect((await collect(model, turn([user('hi')], { format }))).text).toBe('words')
})
