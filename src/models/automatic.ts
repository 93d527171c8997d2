import { Refusal } from '../protocol/protocol.ts'
import { providers } from './providers.ts'

/** What `auto` stands for with each provider's key, in the order in which keys are looked for. */
const models: readonly (readonly [provider: string, model: string])[] = [
  ['anthropic', 'claude-sonnet-4-6'],
  ['openai', 'gpt-5.6'],
  ['google', 'gemini-3.5-flash'],
  ['mistral', 'mistral-small-latest'],
  ['openrouter', 'meta-llama/llama-3.3-70b-instruct'],
  ['baseten', 'deepseek-ai/DeepSeek-V3.1'],
  ['ovhcloud', 'Qwen3.5-397B-A17B'],
  ['groq', 'llama-3.3-70b-versatile'],
  ['fireworks', 'accounts/fireworks/models/kimi-k2-instruct'],
  ['deepseek', 'deepseek-v4-pro'],
  ['cerebras', 'gpt-oss-120b'],
  ['together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo'],
  ['huggingface', 'meta-llama/Llama-3.3-70B-Instruct'],
  ['moonshot', 'kimi-k2-0905-preview'],
  ['vercel', 'openai/gpt-5.6-sol'],
  ['opencode-zen', 'deepseek-v4-flash-free'],
  ['opencode-go', 'deepseek-v4-flash'],
]

const chosen = 'DOCKER_AGENT_DEFAULT_MODEL'

/**
 * The reference that `auto` stands for: what the environment names, or else the first provider whose key is there. A local
 * model is never guessed. Refuses `invalid_model`, naming the variables that would help.
 */
export function automaticRef(env: Readonly<Record<string, string | undefined>>): string {
  const named = env[chosen]?.trim()
  if (named) return named
  const found = models.find(([provider]) => tokensOf(provider).some((token) => env[token]))
  if (found) return found.join('/')
  const tokens = [...new Set(models.flatMap(([provider]) => tokensOf(provider)))].join(', ')
  throw new Refusal(
    'invalid_model',
    `No model can be chosen automatically: set one of ${tokens}, or name a model as provider/model in ${chosen}.`,
  )
}

function tokensOf(provider: string): readonly string[] {
  return providers[provider]?.tokens ?? []
}
