import { Refusal } from '../protocol/protocol.ts'
import { ApiType, type ModelDefinition } from './model-definition.ts'

/** The wire protocol a model is spoken to in. */
export type Dialect = 'openai_chat' | 'openai_responses' | 'anthropic' | 'google' | 'compatible'

export type Provider = {
  readonly dialect: Dialect
  /** Where the provider is; it may name variables of the environment. */
  readonly baseUrl: string
  /** Environment variables that may hold the key, first wins; none: no key is needed. */
  readonly tokens: readonly string[]
}

function compatible(baseUrl: string, ...tokens: readonly string[]): Provider {
  return { dialect: 'compatible', baseUrl, tokens }
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: addresses are written so
const gateway = 'https://gateway.ai.cloudflare.com/v1/${env.CLOUDFLARE_ACCOUNT_ID}/${env.CLOUDFLARE_GATEWAY_ID}/compat'
// biome-ignore lint/suspicious/noTemplateCurlyInString: addresses are written so
const workers = 'https://api.cloudflare.com/client/v4/accounts/${env.CLOUDFLARE_ACCOUNT_ID}/ai/v1'

export const providers: Readonly<Record<string, Provider>> = {
  openai: { dialect: 'openai_chat', baseUrl: 'https://api.openai.com/v1', tokens: ['OPENAI_API_KEY'] },
  anthropic: { dialect: 'anthropic', baseUrl: 'https://api.anthropic.com/v1', tokens: ['ANTHROPIC_API_KEY'] },
  google: {
    dialect: 'google',
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
    tokens: ['GOOGLE_API_KEY', 'GEMINI_API_KEY'],
  },
  baseten: compatible('https://inference.baseten.co/v1', 'BASETEN_API_KEY'),
  cerebras: compatible('https://api.cerebras.ai/v1', 'CEREBRAS_API_KEY'),
  'cloudflare-ai-gateway': compatible(gateway, 'CLOUDFLARE_API_TOKEN'),
  'cloudflare-workers-ai': compatible(workers, 'CLOUDFLARE_API_TOKEN'),
  deepseek: compatible('https://api.deepseek.com/v1', 'DEEPSEEK_API_KEY'),
  dmr: compatible('http://localhost:12434/engines/llama.cpp/v1'),
  fireworks: compatible('https://api.fireworks.ai/inference/v1', 'FIREWORKS_API_KEY'),
  groq: compatible('https://api.groq.com/openai/v1', 'GROQ_API_KEY'),
  huggingface: compatible('https://router.huggingface.co/v1', 'HF_TOKEN'),
  minimax: compatible('https://api.minimax.io/v1', 'MINIMAX_API_KEY'),
  mistral: compatible('https://api.mistral.ai/v1', 'MISTRAL_API_KEY'),
  moonshot: compatible('https://api.moonshot.ai/v1', 'MOONSHOT_API_KEY'),
  nebius: compatible('https://api.studio.nebius.com/v1', 'NEBIUS_API_KEY'),
  nvidia: compatible('https://integrate.api.nvidia.com/v1', 'NVIDIA_API_KEY'),
  ollama: compatible('http://localhost:11434/v1'),
  'opencode-go': compatible('https://opencode.ai/zen/go/v1', 'OPENCODE_API_KEY'),
  'opencode-zen': compatible('https://opencode.ai/zen/v1', 'OPENCODE_API_KEY'),
  openrouter: compatible('https://openrouter.ai/api/v1', 'OPENROUTER_API_KEY'),
  ovhcloud: compatible('https://oai.endpoints.kepler.ai.cloud.ovh.net/v1', 'OVH_AI_ENDPOINTS_ACCESS_TOKEN'),
  requesty: compatible('https://router.requesty.ai/v1', 'REQUESTY_API_KEY'),
  together: compatible('https://api.together.xyz/v1', 'TOGETHER_API_KEY'),
  vercel: compatible('https://ai-gateway.vercel.sh/v1', 'AI_GATEWAY_API_KEY'),
  xai: compatible('https://api.x.ai/v1', 'XAI_API_KEY'),
}

/** Known by name; each needs its own way to sign in. */
const unsupported: readonly string[] = ['amazon-bedrock', 'azure', 'chatgpt', 'github-copilot']

/** OpenAI's families that think: they are spoken to through Responses, since chat completions hides what they think. */
export const openaiThinks = /^(o\d|gpt-([5-9]|\d{2,})(?!.*chat)|codex)/

export type Endpoint = {
  readonly dialect: Dialect
  readonly baseUrl: string
  readonly tokens: readonly string[]
  /** A call without a key is refused before it is made. */
  readonly keyRequired: boolean
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Where and how a definition's model is reached. `${env.NAME}` in its address is that variable. Refuses `invalid_model` when
 * that cannot be told.
 */
export function endpointOf(definition: ModelDefinition, env: Environment): Endpoint {
  const { provider: name, base_url: baseUrl, token_key: tokenKey } = definition
  if (unsupported.includes(name)) throw new Refusal('invalid_model', `The provider ${name} is not supported yet.`)
  const provider = Object.hasOwn(providers, name) ? providers[name] : undefined
  const url = baseUrl ?? provider?.baseUrl
  if (url === undefined) throw new Refusal('invalid_model', `There is no provider ${name}.`)
  const dialect = dialectOf(definition, provider?.dialect ?? 'compatible')
  const address = inEnvironment(url, name, env)
  const tokens = tokenKey === undefined ? (provider?.tokens ?? []) : [tokenKey]
  return {
    dialect,
    baseUrl: versioned(address, dialect, name),
    tokens,
    // An address of one's own may need no key at all, so only a key that is named is asked for there.
    keyRequired: tokens.length > 0 && (tokenKey !== undefined || baseUrl === undefined),
  }
}

/** Names what is missing, never what is there: it may be a secret. */
function inEnvironment(address: string, provider: string, env: Environment): string {
  return address.replaceAll(/\$\{env\.(\w+)\}/g, (_, name: string) => {
    const value = env[name]
    if (value) return value
    throw new Refusal('invalid_model', `The address of the provider ${provider} needs the variable ${name}.`)
  })
}

/**
 * `api_type` decides where it is given, by a provider of the file or among the model's own options. Otherwise OpenAI's
 * thinking families go to Responses, at OpenAI's own address only: what else calls itself OpenAI rarely has it.
 */
function dialectOf(definition: ModelDefinition, usual: Dialect): Dialect {
  const { api_type: type = apiTypeIn(definition.provider_opts), provider, model, base_url: baseUrl } = definition
  if (type === 'openai_responses') return 'openai_responses'
  if (type === 'openai_chatcompletions') return provider === 'openai' ? 'openai_chat' : 'compatible'
  if (usual === 'openai_chat' && baseUrl === undefined && openaiThinks.test(model)) return 'openai_responses'
  return usual
}

function apiTypeIn(options: ModelDefinition['provider_opts']): ApiType | undefined {
  return ApiType.safeParse(options?.api_type).data
}

const versions: Readonly<Partial<Record<Dialect, string>>> = { anthropic: '/v1', google: '/v1beta' }

/** Agent files give Anthropic's and Google's address without the version that is part of it here. */
function versioned(baseUrl: string, dialect: Dialect, provider: string): string {
  const url = URL.parse(baseUrl)
  // `fetch` takes no address with a password in it; the key belongs into the environment anyway.
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') {
    throw new Refusal('invalid_model', `The base_url of the provider ${provider} is not a plain http or https address.`)
  }
  const trimmed = baseUrl.replace(/\/+$/, '')
  return /\/v\d[^/]*$/.test(trimmed) ? trimmed : trimmed + (versions[dialect] ?? '')
}
