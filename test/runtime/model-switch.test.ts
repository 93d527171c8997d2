import { expect, it } from 'vitest'
import type { ModelChoice } from '../../src/protocol/protocol.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { runtimeOf } from './test-agent.ts'

const runtime = runtimeOf(`
agents:
  root: {model: fast}
  other: {model: anthropic/claude-sonnet-4-5}
  third: {model: "openai/gpt-4o,fast"}
models:
  fast: {provider: gateway, model: small/one, cost: {input: 1, output: 2}, provider_opts: {context_size: 1000}}
  router: {provider: openai, model: gpt-4o, routing: [{model: fast, examples: [hi]}]}
providers:
  gateway: {base_url: "http://127.0.0.1:1/v1", token_key: GATEWAY_KEY, api_type: openai_chatcompletions}
`)

function choices(of: Runtime, override?: string, custom: readonly string[] = []): readonly ModelChoice[] {
  return of.models?.choices(override, custom) ?? []
}

function current(list: readonly ModelChoice[]): readonly string[] {
  return list.filter((choice) => choice.is_current).map(({ ref }) => ref)
}

it('offers the models of the file and those that its agents name inline, with what they cost', () => {
  const list = choices(runtime)
  expect(list.map(({ ref }) => ref)).toEqual(['fast', 'router', 'anthropic/claude-sonnet-4-5', 'openai/gpt-4o,fast'])
  expect(list.at(-1)).toMatchObject({ provider: 'openai', model: 'gpt-4o' })
  expect(list[0]).toEqual({
    name: 'fast',
    ref: 'fast',
    provider: 'gateway',
    model: 'small/one',
    is_default: true,
    is_current: true,
    input_cost: 1,
    output_cost: 2,
    context_limit: 1000,
  })
  expect(list[2]?.context_limit).toBeGreaterThan(0)
})

it.each([
  ['the default without an override', undefined, 'fast', 4],
  ['the override', 'anthropic/claude-sonnet-4-5', 'anthropic/claude-sonnet-4-5', 4],
  ['an override that the file does not know', 'openai/gpt-4o', 'openai/gpt-4o', 5],
  ['an override that means nothing any more', 'gone', 'gone', 5],
])('marks exactly one choice as current: %s', (_, override, ref, length) => {
  const list = choices(runtime, override)
  expect(current(list)).toEqual([ref])
  expect(list).toHaveLength(length)
})

it('keeps models that the session brought itself, each once', () => {
  const list = choices(runtime, 'openai/gpt-4o', ['google/gemini-2.5-flash', 'openai/gpt-4o', 'fast'])
  expect(list.filter((choice) => choice.is_custom).map(({ ref }) => ref)).toEqual([
    'google/gemini-2.5-flash',
    'openai/gpt-4o',
  ])
})

it.each(['fast', 'openai/gpt-4o', 'gateway/any/model', 'ollama/llama3:8b', 'openai/a, openai/b', 'router'])(
  'takes the reference %s',
  async (ref) => {
    await expect(runtime.models?.check(ref)).resolves.toBeUndefined()
  },
)

it.each([
  '',
  'slow',
  'nobody/knows',
  'amazon-bedrock/nova',
  'auto',
  'openai/a,slow',
  'openai/a,',
  ',',
  '/x',
  'x/',
  'toString',
])('refuses the reference "%s"', async (ref) => {
  await expect(runtime.models?.check(ref)).rejects.toMatchObject({ name: 'Refusal', code: 'invalid_model' })
})

it('offers the model that auto stands for as the default of an agent without one', () => {
  const list = choices(runtimeOf('agents: {root: {}}', { OPENAI_API_KEY: 'k' }))
  expect(list).toMatchObject([{ ref: 'auto', provider: 'openai', is_default: true, is_current: true }])
})
