import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { createModels, type ModelDefinition, parseModelRef } from '../../src/models/models.ts'
import { Refusal, type Tool } from '../../src/protocol/protocol.ts'
import { collect, turn, user } from './collect.ts'
import { env, sentBy } from './sent-by.ts'

const models = createModels({ env: {} })
// biome-ignore lint/suspicious/noTemplateCurlyInString: agent files are written so
const place = 'http://${env.PLACE}/v1'

describe('open', () => {
  test.each([
    ['openai', 'OPENAI_API_KEY'],
    ['anthropic', 'ANTHROPIC_API_KEY'],
    ['google', 'GOOGLE_API_KEY or GEMINI_API_KEY'],
    ['mistral', 'MISTRAL_API_KEY'],
    ['openrouter', 'OPENROUTER_API_KEY'],
  ])('needs no key for %s, and the first call says which is missing', async (provider, variable) => {
    const model = await models.open({ provider, model: 'some-model' })
    expect(model.ref).toBe(`${provider}/some-model`)
    const failure = await collect(model, turn([user('hi')])).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'model_error', reason: 'missing_key', retryable: false })
    expect(String(failure)).toContain(variable)
  })

  test('names the variable of token_key when that is the one that is missing', async () => {
    const model = await models.open({
      provider: 'openai',
      model: 'm',
      base_url: 'http://localhost:1',
      token_key: 'MY_KEY',
    })
    const failure = await collect(model, turn([user('hi')])).catch((error: unknown) => error)
    expect(String(failure)).toContain('set MY_KEY in the environment')
  })

  test.each<readonly [string, ModelDefinition]>([
    ['a provider that nobody knows', { provider: 'nobody', model: 'm' }],
    ['a provider that signs in its own way', { provider: 'amazon-bedrock', model: 'm' }],
    ['a provider whose address needs variables that are not there', { provider: 'cloudflare-ai-gateway', model: 'm' }],
    ['an address with a variable that is not there', { provider: 'openai', model: 'm', base_url: place }],
    ['an address that is no URL', { provider: 'openai', model: 'm', base_url: 'not a url' }],
    ['an address with a password', { provider: 'openai', model: 'm', base_url: 'http://user:secret@localhost/v1' }],
    ['options that are no JSON', { provider: 'openai', model: 'm', provider_opts: { at: new Date(0) } }],
    ['an empty model', { provider: 'openai', model: '' }],
    ['a temperature that is no number', { provider: 'openai', model: 'm', temperature: Number.NaN }],
  ])('refuses %s', async (_, definition) => {
    const refusal = await models.open(definition).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(Refusal)
    expect(refusal).toMatchObject({ code: 'invalid_model' })
  })

  test('names the path of what is wrong', async () => {
    const refusal = await models
      .open({ provider: 'openai', model: 'm', max_tokens: -1 })
      .catch((error: unknown) => error)
    expect(refusal).toMatchObject({ details: [{ path: 'max_tokens' }] })
  })

  test('takes any name of a provider that brings its address', async () => {
    const model = await models.open({ provider: 'my_gateway', model: 'a/b', base_url: 'http://localhost:1/v1' })
    expect(model).toMatchObject({ ref: 'my_gateway/a/b', contextLimit: undefined, price: undefined })
  })
})

test('imports a package when the first of its models is opened, and no other (A5)', () => {
  const door = new URL('../../src/models/models.ts', import.meta.url)
  const program = `
    import { registerHooks } from 'node:module'
    const seen = new Set()
    registerHooks({ resolve: (name, context, next) => (seen.add(name), next(name, context)) })
    const packages = () => [...seen].filter((name) => name.startsWith('@ai-sdk/') && !name.includes('/provider'))
    const { createModels } = await import('${door}')
    const before = packages()
    await createModels({ env: {} }).open({ provider: 'anthropic', model: 'm' })
    console.log(JSON.stringify([before, packages()]))`
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' })
  expect(JSON.parse(output)).toEqual([[], ['@ai-sdk/anthropic']])
})

describe('facts', () => {
  test.each([
    ['openai', 'gpt-4o-2024-08-06', 128_000, 2.5],
    ['anthropic', 'claude-sonnet-4-0', 200_000, 3],
    ['anthropic', 'claude-opus-4-1-20250805', 200_000, 15],
    ['anthropic', 'claude-sonnet-4-6', 1_000_000, 3],
    ['mistral', 'mistral-small-latest', 131_072, 0.1],
    ['mistral', 'mistral-medium-latest', 262_144, 1.5],
    ['mistral', 'mistral-medium-2505', 131_072, 0.4],
    ['openrouter', 'meta-llama/llama-3.3-70b-instruct', 131_072, 0.1],
  ])('knows %s/%s', (provider, model, contextLimit, input) => {
    expect(models.facts({ provider, model })).toMatchObject({ contextLimit, price: { input } })
  })

  test('lets the definition win', () => {
    const cost = { input: 7, output: 8 }
    const facts = models.facts({ provider: 'openai', model: 'gpt-4o', cost, provider_opts: { context_size: 1000 } })
    expect(facts).toMatchObject({ contextLimit: 1000, price: cost })
  })

  test('says nothing about a model it does not know', () => {
    expect(models.facts({ provider: 'x', model: 'y' })).toEqual({
      contextLimit: undefined,
      outputLimit: undefined,
      price: undefined,
    })
  })

  test('lists the models whose key is there', () => {
    expect(models.available()).toEqual([])
    const refs = createModels({ env: { ANTHROPIC_API_KEY: 'k' } }).available()
    expect(refs).toContain('anthropic/claude-sonnet-4-5')
    expect(refs.every((ref) => ref.startsWith('anthropic/'))).toBe(true)
  })
})

test.each([
  ['openai/gpt-4o', { provider: 'openai', model: 'gpt-4o' }],
  ['openrouter/anthropic/claude', { provider: 'openrouter', model: 'anthropic/claude' }],
  ['gpt-4o', undefined],
  ['openai/', undefined],
  ['a/b,c/d', undefined],
])('reads the reference %s', (ref, expected) => {
  expect(parseModelRef(ref)).toEqual(expected)
})

describe('what is sent', () => {
  const tool: Tool = {
    name: 'read_file',
    category: 'filesystem',
    description: 'Reads a file.',
    parameters: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
    annotations: {},
    outputSchema: null,
  }

  test('goes to each provider at its path with its key', async () => {
    const path = async (definition: ModelDefinition) => {
      const sent = await sentBy(definition)
      return `${sent.path} ${sent.key}`
    }
    expect(await path({ provider: 'openai', model: 'gpt-4o', base_url: '/v1' })).toBe(
      '/v1/chat/completions Bearer k-openai',
    )
    const responses = { provider: 'openai', model: 'gpt-5', base_url: '/v1', api_type: 'openai_responses' } as const
    expect(await path(responses)).toBe('/v1/responses Bearer k-openai')
    expect(await path({ provider: 'anthropic', model: 'claude-sonnet-4-5' })).toBe('/v1/messages k')
    expect(await path({ provider: 'anthropic', model: 'claude-sonnet-4-5', base_url: '/proxy/v1/' })).toBe(
      '/proxy/v1/messages k',
    )
    expect(await path({ provider: 'google', model: 'gemini-2.5-pro' })).toBe(
      '/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse k',
    )
    expect(await path({ provider: 'mistral', model: 'm', base_url: '/v1' })).toBe('/v1/chat/completions Bearer k')
    expect(await path({ provider: 'my_own', model: 'm' })).toBe('/chat/completions ')
  })

  /** Names, variables and addresses as the ancestor has them. */
  const providers = [
    ['openai', 'OPENAI_API_KEY', 'https://api.openai.com/v1/chat/completions'],
    ['anthropic', 'ANTHROPIC_API_KEY', 'https://api.anthropic.com/v1/messages'],
    [
      'google',
      'GOOGLE_API_KEY',
      'https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse',
    ],
    [
      'google',
      'GEMINI_API_KEY',
      'https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse',
    ],
    ['dmr', undefined, 'http://localhost:12434/engines/llama.cpp/v1/chat/completions'],
    ['requesty', 'REQUESTY_API_KEY', 'https://router.requesty.ai/v1/chat/completions'],
    ['xai', 'XAI_API_KEY', 'https://api.x.ai/v1/chat/completions'],
    ['nebius', 'NEBIUS_API_KEY', 'https://api.studio.nebius.com/v1/chat/completions'],
    ['nvidia', 'NVIDIA_API_KEY', 'https://integrate.api.nvidia.com/v1/chat/completions'],
    ['openrouter', 'OPENROUTER_API_KEY', 'https://openrouter.ai/api/v1/chat/completions'],
    ['mistral', 'MISTRAL_API_KEY', 'https://api.mistral.ai/v1/chat/completions'],
    ['ollama', undefined, 'http://localhost:11434/v1/chat/completions'],
    ['minimax', 'MINIMAX_API_KEY', 'https://api.minimax.io/v1/chat/completions'],
    ['baseten', 'BASETEN_API_KEY', 'https://inference.baseten.co/v1/chat/completions'],
    ['ovhcloud', 'OVH_AI_ENDPOINTS_ACCESS_TOKEN', 'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1/chat/completions'],
    ['groq', 'GROQ_API_KEY', 'https://api.groq.com/openai/v1/chat/completions'],
    ['fireworks', 'FIREWORKS_API_KEY', 'https://api.fireworks.ai/inference/v1/chat/completions'],
    ['deepseek', 'DEEPSEEK_API_KEY', 'https://api.deepseek.com/v1/chat/completions'],
    ['cerebras', 'CEREBRAS_API_KEY', 'https://api.cerebras.ai/v1/chat/completions'],
    ['together', 'TOGETHER_API_KEY', 'https://api.together.xyz/v1/chat/completions'],
    ['huggingface', 'HF_TOKEN', 'https://router.huggingface.co/v1/chat/completions'],
    ['moonshot', 'MOONSHOT_API_KEY', 'https://api.moonshot.ai/v1/chat/completions'],
    ['vercel', 'AI_GATEWAY_API_KEY', 'https://ai-gateway.vercel.sh/v1/chat/completions'],
    [
      'cloudflare-workers-ai',
      'CLOUDFLARE_API_TOKEN',
      'https://api.cloudflare.com/client/v4/accounts/acc/ai/v1/chat/completions',
    ],
    [
      'cloudflare-ai-gateway',
      'CLOUDFLARE_API_TOKEN',
      'https://gateway.ai.cloudflare.com/v1/acc/gate/compat/chat/completions',
    ],
    ['opencode-go', 'OPENCODE_API_KEY', 'https://opencode.ai/zen/go/v1/chat/completions'],
    ['opencode-zen', 'OPENCODE_API_KEY', 'https://opencode.ai/zen/v1/chat/completions'],
  ] as const

  /** Where a call goes, and with which key. */
  const callOf = async (definition: ModelDefinition, env: Record<string, string>) => {
    const calls: (readonly [string, string])[] = []
    const fetch = async (input: string | URL | Request, init: RequestInit = {}) => {
      const headers = new Headers(init.headers)
      const key = ['authorization', 'x-api-key', 'x-goog-api-key'].map((name) => headers.get(name) ?? '').join('')
      calls.push([input instanceof Request ? input.url : String(input), key.replace('Bearer ', '')])
      return new Response('{}', { status: 418 })
    }
    const model = await createModels({ env, fetch }).open(definition)
    await collect(model, turn([user('hi')])).catch(() => undefined)
    return calls[0]
  }

  test.each(providers)('goes to %s with the key in %s', async (provider, variable, address) => {
    const env = { CLOUDFLARE_ACCOUNT_ID: 'acc', CLOUDFLARE_GATEWAY_ID: 'gate', ...(variable && { [variable]: 'k-1' }) }
    expect(await callOf({ provider, model: 'm' }, env)).toEqual([address, variable === undefined ? '' : 'k-1'])
  })

  test('goes to an address that the environment completes', async () => {
    const env = { PLACE: 'here.example', OPENAI_API_KEY: 'k' }
    const [address] = (await callOf({ provider: 'openai', model: 'm', base_url: place }, env)) ?? []
    expect(address).toBe('http://here.example/v1/chat/completions')
  })

  test('goes to Responses by itself for what thinks, at the address of OpenAI', async () => {
    const addressOf = async (definition: ModelDefinition) => {
      const addresses: string[] = []
      const fetch = async (input: string | URL | Request) => {
        addresses.push(input instanceof Request ? input.url : String(input))
        return new Response('{}', { status: 418 })
      }
      const model = await createModels({ env, fetch }).open(definition)
      await collect(model, turn([user('hi')])).catch(() => undefined)
      return addresses[0]
    }
    const responses = 'https://api.openai.com/v1/responses'
    const chat = 'https://api.openai.com/v1/chat/completions'
    expect(await addressOf({ provider: 'openai', model: 'gpt-5.1' })).toBe(responses)
    expect(await addressOf({ provider: 'openai', model: 'o3-mini' })).toBe(responses)
    expect(await addressOf({ provider: 'openai', model: 'codex-mini-latest' })).toBe(responses)
    expect(await addressOf({ provider: 'openai', model: 'gpt-4o' })).toBe(chat)
    expect(await addressOf({ provider: 'openai', model: 'gpt-5', api_type: 'openai_chatcompletions' })).toBe(chat)
  })

  test.each<readonly [string, ModelDefinition, object]>([
    [
      'sampling',
      { provider: 'mistral', model: 'm', temperature: 0.2, top_p: 0.9, max_tokens: 99, frequency_penalty: 0.1 },
      { temperature: 0.2, top_p: 0.9, max_tokens: 99, frequency_penalty: 0.1 },
    ],
    [
      "a compatible server's own options as they are written",
      { provider: 'mistral', model: 'm', provider_opts: { safe_prompt: true, context_size: 1000 } },
      { safe_prompt: true },
    ],
    [
      "OpenAI's own options",
      { provider: 'openai', model: 'gpt-4o', provider_opts: { service_tier: 'priority' } },
      { service_tier: 'priority' },
    ],
    [
      'parallel calls to OpenAI',
      { provider: 'openai', model: 'gpt-4o', parallel_tool_calls: false },
      { parallel_tool_calls: false },
    ],
    [
      'parallel calls to Anthropic',
      { provider: 'anthropic', model: 'claude-sonnet-4-5', parallel_tool_calls: false },
      { tool_choice: { type: 'auto', disable_parallel_tool_use: true } },
    ],
    [
      'a level of thinking to Responses, which keeps nothing',
      { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses', thinking_budget: 'low' },
      { reasoning: { effort: 'low', summary: 'auto' }, store: false, include: ['reasoning.encrypted_content'] },
    ],
    [
      'a number of tokens to Responses as the level next to it',
      { provider: 'openai', model: 'gpt-5', api_type: 'openai_responses', thinking_budget: 10_000 },
      { reasoning: { effort: 'medium' } },
    ],
    [
      'a number of tokens to Anthropic',
      { provider: 'anthropic', model: 'claude-sonnet-4-5', thinking_budget: 4000 },
      { thinking: { type: 'enabled', budget_tokens: 4000 } },
    ],
    [
      'a budget for the task to Anthropic',
      { provider: 'anthropic', model: 'claude-opus-4-7', task_budget: 50_000 },
      { output_config: { task_budget: { type: 'tokens', total: 50_000 } } },
    ],
    [
      'a number of tokens to Google',
      { provider: 'google', model: 'gemini-2.5-pro', thinking_budget: 2048 },
      { generationConfig: { thinkingConfig: { thinkingBudget: 2048, includeThoughts: true } } },
    ],
    [
      'adaptive thinking to Google',
      { provider: 'google', model: 'gemini-2.5-pro', thinking_budget: 'adaptive' },
      { generationConfig: { thinkingConfig: { thinkingBudget: -1 } } },
    ],
  ])('carries %s', async (_, definition, expected) => {
    const { body } = await sentBy(definition, { tools: [tool] })
    expect(body).toMatchObject(expected)
  })

  test('rounds a budget for the task up to what Anthropic takes', async () => {
    const { body } = await sentBy({ provider: 'anthropic', model: 'claude-opus-4-7', task_budget: 5 })
    expect(body).toMatchObject({ output_config: { task_budget: { total: 20_000 } } })
  })

  test('holds no budget for the task where only Anthropic knows one', async () => {
    const { body } = await sentBy({ provider: 'openai', model: 'gpt-4o', task_budget: 50_000 })
    expect(JSON.stringify(body)).not.toContain('50000')
  })

  test('asks for little thinking where it is off, and says nothing about it to models that do not think', async () => {
    const off = { thinking: 'off', purpose: 'title', maxOutputTokens: 20 } as const
    const flash = await sentBy({ provider: 'google', model: 'gemini-2.5-flash', thinking_budget: 9000 }, off)
    expect(flash.body).toMatchObject({
      generationConfig: { maxOutputTokens: 20, thinkingConfig: { thinkingBudget: 0 } },
    })
    const gpt4 = await sentBy({ provider: 'openai', model: 'gpt-4o', max_tokens: 500 }, off)
    expect(gpt4.body).toMatchObject({ max_tokens: 20 })
    expect(gpt4.body).not.toHaveProperty('reasoning_effort')
    const other = await sentBy({ provider: 'mistral', model: 'm', thinking_budget: 'high' }, off)
    expect(other.body).not.toHaveProperty('reasoning_effort')
  })

  test('holds the tools with their schemas, and no choice about them without any', async () => {
    const withTool = await sentBy({ provider: 'openai', model: 'gpt-4o' }, { tools: [tool] })
    expect(withTool.body).toMatchObject({
      tools: [
        {
          type: 'function',
          function: { name: 'read_file', description: 'Reads a file.', parameters: tool.parameters },
        },
      ],
    })
    const without = await sentBy({ provider: 'openai', model: 'gpt-4o', parallel_tool_calls: false })
    expect(without.body).not.toHaveProperty('tools')
    expect(without.body).not.toHaveProperty('parallel_tool_calls')
  })

  test('is refused by name when provider_opts are not what the provider takes', async () => {
    const definition = { provider: 'openai', model: 'gpt-4o', provider_opts: { service_tier: 7 } }
    const failure = await createModels({ env })
      .open(definition)
      .then((model) => collect(model, turn([user('hi')])))
      .catch((error: unknown) => error)
    expect(failure).toMatchObject({ reason: 'rejected', retryable: false })
    expect(String(failure)).toContain('provider_opts')
  })
})
