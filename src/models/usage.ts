import type { LanguageModelV4Usage } from '@ai-sdk/provider'
import type { Usage } from '../protocol/protocol.ts'
import type { Price } from './model-definition.ts'

/** What the provider counted, in our words. What it does not tell is 0. */
export function usageOf({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage {
  const read = count(inputTokens.cacheRead)
  const written = count(inputTokens.cacheWrite)
  const reasoning = count(outputTokens.reasoning)
  return {
    input_tokens: count(inputTokens.noCache ?? (inputTokens.total ?? 0) - read - written),
    output_tokens: count(outputTokens.total),
    cached_input_tokens: read,
    cached_write_tokens: written,
    ...(reasoning > 0 && { reasoning_tokens: reasoning }),
  }
}

function count(tokens: number | undefined): number {
  return tokens === undefined || !Number.isFinite(tokens) ? 0 : Math.max(0, Math.round(tokens))
}

/** USD of one call; 0 without a price. Reasoning is part of the output. */
export function costOf(usage: Usage, price: Price | undefined): number {
  if (!price) return 0
  const prompt = usage.input_tokens + usage.cached_input_tokens + usage.cached_write_tokens
  const rates = price.long !== undefined && prompt > price.long.above ? price.long : price
  const { input, output, cache_read = input, cache_write = input } = rates
  const sum =
    usage.input_tokens * input +
    usage.cached_input_tokens * cache_read +
    usage.cached_write_tokens * cache_write +
    usage.output_tokens * output
  return sum / 1_000_000
}
