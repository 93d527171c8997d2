import { describe, expect, it } from 'vitest'
import { parseAgentFile } from '../../src/agent-file/agent-file.ts'
import { createModels } from '../../src/models/models.ts'
import { findModel, resolveModel } from '../../src/runtime/model-resolution.ts'
import { messageWords, similarity } from '../../src/runtime/similarity.ts'
import { carryOut, session, stored, text, user } from './run-context.ts'
import { runtimeOf } from './test-agent.ts'

type Env = Record<string, string>

/** `provider/model` of what a reference stands for, with these entries in `models`. */
function meaning(ref: string, env: Env, models = '{}'): string {
  const file = parseAgentFile(`agents: {root: {}}\nmodels: ${models}`, { origin: 'test.yaml' })
  const { provider, model } = resolveModel(file, ref, createModels({ env })).definition
  return `${provider}/${model}`
}

function refusal(ref: string, env: Env, models?: string): { readonly code?: string; readonly message?: string } {
  try {
    return { message: meaning(ref, env, models) }
  } catch (error) {
    return error instanceof Error ? error : {}
  }
}

describe('auto', () => {
  const one = { ANTHROPIC_API_KEY: 'k' }
  it.each<readonly [string, Env]>([
    ['anthropic', { OPENAI_API_KEY: 'k', ...one, GROQ_API_KEY: 'k' }],
    ['openai', { OPENAI_API_KEY: 'k', GROQ_API_KEY: 'k' }],
    ['google', { GEMINI_API_KEY: 'k', MISTRAL_API_KEY: 'k' }],
    ['mistral', { MISTRAL_API_KEY: 'k', OPENROUTER_API_KEY: 'k' }],
    ['groq', { DEEPSEEK_API_KEY: 'k', GROQ_API_KEY: 'k' }],
    ['opencode-zen', { OPENCODE_API_KEY: 'k', ANTHROPIC_API_KEY: '' }],
  ])('is %s where its key is the first', (provider, env) => {
    expect(meaning('auto', env)).toMatch(new RegExp(`^${provider}/\\S+$`))
  })

  it('looks for the keys in the order of the ancestor', () => {
    const variables = [
      'ANTHROPIC_API_KEY',
      'OPENAI_API_KEY',
      'GOOGLE_API_KEY',
      'MISTRAL_API_KEY',
      'OPENROUTER_API_KEY',
      'BASETEN_API_KEY',
      'OVH_AI_ENDPOINTS_ACCESS_TOKEN',
      'GROQ_API_KEY',
      'FIREWORKS_API_KEY',
      'DEEPSEEK_API_KEY',
      'CEREBRAS_API_KEY',
      'TOGETHER_API_KEY',
      'HF_TOKEN',
      'MOONSHOT_API_KEY',
      'AI_GATEWAY_API_KEY',
      'OPENCODE_API_KEY',
    ]
    const found = variables.map((_, at) =>
      meaning('auto', Object.fromEntries(variables.slice(at).map((name) => [name, 'k']))),
    )
    expect(found.map((ref) => ref.slice(0, ref.indexOf('/')))).toEqual([
      'anthropic',
      'openai',
      'google',
      'mistral',
      'openrouter',
      'baseten',
      'ovhcloud',
      'groq',
      'fireworks',
      'deepseek',
      'cerebras',
      'together',
      'huggingface',
      'moonshot',
      'vercel',
      'opencode-zen',
    ])
  })

  it('is what the environment names, before any key', () => {
    expect(meaning('auto', { ...one, DOCKER_AGENT_DEFAULT_MODEL: 'dmr/ai/qwen3' })).toBe('dmr/ai/qwen3')
  })

  it('means nothing where the environment names itself', () => {
    expect(refusal('auto', { DOCKER_AGENT_DEFAULT_MODEL: 'auto' })).toMatchObject({ code: 'invalid_model' })
  })

  it('is refused without a key, with the names of the variables that would help', () => {
    const { code, message } = refusal('auto', {})
    expect(code).toBe('invalid_model')
    for (const name of ['ANTHROPIC_API_KEY', 'HF_TOKEN', 'DOCKER_AGENT_DEFAULT_MODEL']) expect(message).toContain(name)
  })
})

describe('first_available', () => {
  const models = `{
    any: {first_available: [amazon-bedrock/nova, own, openai/a], temperature: 0.5, title_model: openai/t},
    own: {provider: gateway, model: x, base_url: "http://127.0.0.1:1/v1", token_key: OWN_KEY, temperature: 1, max_tokens: 9},
    local: {first_available: [openai/a, ollama/llama3]},
    none: {first_available: [amazon-bedrock/nova]},
    loop: {first_available: [loop]},
  }`

  it.each<readonly [string, string, Env]>([
    ['any', 'gateway/x', { OWN_KEY: 'k', OPENAI_API_KEY: 'k' }],
    ['any', 'openai/a', { OPENAI_API_KEY: 'k' }],
    ['local', 'openai/a', { OPENAI_API_KEY: 'k' }],
    ['local', 'ollama/llama3', {}],
  ])('%s is %s, the first whose key is there', (ref, expected, env) => {
    expect(meaning(ref, env, models)).toBe(expected)
  })

  it('adds what is written beside the list', () => {
    const file = parseAgentFile(`agents: {root: {}}\nmodels: ${models}`, { origin: 'test.yaml' })
    const found = findModel(file, 'any', createModels({ env: { OWN_KEY: 'k' } }))
    expect(found).toMatchObject({ definition: { temperature: 0.5, max_tokens: 9 }, titleModel: 'openai/t' })
  })

  it.each([
    ['any', 'set one of OWN_KEY, OPENAI_API_KEY.'],
    ['none', 'none of them is supported.'],
    ['loop', 'none of them is supported.'],
  ])('is refused when there is none in %s, and says what would help', (ref, help) => {
    const { code, message } = refusal(ref, {}, models)
    expect(code).toBe('invalid_model')
    expect(message).toContain(help)
  })
})

const played = (name: string) => `{provider: scripted, model: ${name}, provider_opts: {script: [[{text: ${name}}]]}}`

describe('models that take turns', () => {
  const yaml = `agents: {root: {model: "a, b, c"}}\nmodels: {a: ${played('a')}, b: ${played('b')}, c: ${played('c')}}`

  it('answer one turn each, and go on where the conversation was', async () => {
    const runtime = runtimeOf(yaml)
    const talk = session([user('1')])
    talk.followUps.push(...['2', '3', '4'].map(user))
    const outcome = await carryOut(runtime, talk)
    expect(text(outcome)).toBe('abca')
    expect(stored(outcome).map(({ model }) => model)).toEqual(['a', 'b', 'c', 'a'].map((name) => `scripted/${name}`))

    const history = outcome.events.flatMap((event) => (event.type === 'message_added' ? [event.message] : []))
    expect(text(await carryOut(runtimeOf(yaml), session([...history, user('5')])))).toBe('b')
    expect(text(await carryOut(runtime, session([user('5')])))).toBe('b')
  })

  it('can each be refused', () => {
    expect(refusal('openai/a,nobody', {})).toMatchObject({ code: 'invalid_model' })
  })
})

describe('a model that routes', () => {
  const router = `{
    provider: scripted, model: usual, provider_opts: {script: [[{text: usual}]]},
    routing: [
      {model: fast, examples: [hello, how are you, thanks]},
      {model: capable, examples: [explain the algorithm, write a function]},
      {model: turns, examples: [take turns]},
    ],
  }`
  const yaml = `
agents: {root: {model: router}}
models: {fast: ${played('fast')}, capable: ${played('capable')}, turns: ${played('turns')}, router: ${router}}`

  it.each([
    ['Hello!', 'fast'],
    ['How are you today?', 'fast'],
    ['hello, please explain the algorithm of quicksort', 'capable'],
    ['Could you write me a function that sorts?', 'capable'],
    ['What is the weather?', 'usual'],
    ['', 'usual'],
    ['TAKE TURNS', 'turns'],
  ])('hands "%s" to %s', async (message, expected) => {
    expect(text(await carryOut(runtimeOf(yaml), session([user('hello'), user(message)])))).toBe(expected)
  })

  it('reads the text of a message in parts', async () => {
    const parts = {
      agent_name: '',
      message: { role: 'user' as const, content: '', multi_content: [{ type: 'text' as const, text: 'thanks' }] },
    }
    expect(text(await carryOut(runtimeOf(yaml), session([parts])))).toBe('fast')
  })

  it('is refused when it leads back to itself', () => {
    const models = `{a: {provider: openai, model: x, routing: [{model: b, examples: [hi]}]}, b: {provider: openai, model: x, routing: [{model: a, examples: [hi]}]}}`
    expect(refusal('a', {}, models)).toMatchObject({
      code: 'invalid_model',
      message: expect.stringContaining('leads back'),
    })
  })
})

it.each([
  ['hello', 'hello world', 1],
  ['explain the algorithm', 'the algorithm, please', 2 * (2 / 3)],
  ['explain the algorithm', 'the weather', 0],
  ['Grüße an ALLE', 'grüße an alle', 3],
  ['', 'anything', 0],
])('counts the words that "%s" and "%s" have in common', (example, message, score) => {
  expect(similarity(example, messageWords({ role: 'user', content: message }))).toBeCloseTo(score)
})
