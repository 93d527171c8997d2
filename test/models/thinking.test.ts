import { describe, expect, test } from 'vitest'
import type { ModelDefinition } from '../../src/models/models.ts'
import { sentBy } from './sent-by.ts'

type Budget = NonNullable<ModelDefinition['thinking_budget']>

const responses = { api_type: 'openai_responses' } as const
const adaptive = { type: 'adaptive', display: 'summarized' }

describe('thinking_budget', () => {
  test.each<readonly [provider: string, model: string, budget: Budget, sent: unknown]>([
    ['openai', 'gpt-5', 'none', { effort: 'minimal', summary: 'auto' }],
    ['openai', 'gpt-5.1', 'none', { effort: 'none' }],
    ['openai', 'gpt-5.1', 'minimal', { effort: 'low', summary: 'auto' }],
    ['openai', 'o3', 'none', { effort: 'low', summary: 'auto' }],
    ['openai', 'o3', 'minimal', { effort: 'low', summary: 'auto' }],
    ['openai', 'o4-mini', 'xhigh', { effort: 'high', summary: 'auto' }],
    ['openai', 'o3', 2048, { effort: 'low', summary: 'auto' }],
    ['openai', 'gpt-5-codex', 0, { effort: 'low', summary: 'auto' }],
    ['openai', 'gpt-5-pro', 'low', { effort: 'high', summary: 'auto' }],
    ['openai', 'gpt-5', 'adaptive', { summary: 'auto' }],
    ['anthropic', 'claude-sonnet-4-5', 2048, { type: 'enabled', budget_tokens: 2048 }],
    ['anthropic', 'claude-opus-4-6', 2048, { type: 'enabled', budget_tokens: 2048 }],
    ['anthropic', 'claude-sonnet-4-20250514', 'adaptive', { type: 'enabled', budget_tokens: expect.any(Number) }],
    ['anthropic', 'claude-3-7-sonnet', -1, { type: 'enabled', budget_tokens: expect.any(Number) }],
    ['anthropic', 'claude-opus-4-6', 'adaptive', adaptive],
    ['anthropic', 'claude-opus-4-7', 2048, adaptive],
    ['anthropic', 'claude-sonnet-5', 20_000, adaptive],
    ['anthropic', 'claude-opus-4-7', 'high', adaptive],
    ['anthropic', 'claude-opus-4-7', 0, { type: 'disabled' }],
    ['google', 'gemini-2.5-flash', 0, { thinkingBudget: 0, includeThoughts: false }],
    ['google', 'gemini-2.5-pro', 0, { thinkingBudget: 128, includeThoughts: false }],
    ['google', 'gemini-2.5-pro', 2048, { thinkingBudget: 2048, includeThoughts: true }],
    ['google', 'gemini-3-pro-preview', 0, { thinkingLevel: 'low', includeThoughts: false }],
    ['google', 'gemini-3-pro-preview', 'high', { thinkingLevel: 'high', includeThoughts: true }],
  ])('of %s/%s is sent as the model takes it: %s', async (provider, model, thinking_budget, sent) => {
    const api = provider === 'openai' ? { ...responses, base_url: '/v1' } : {}
    const { body } = await sentBy({ provider, model, thinking_budget, ...api })
    expect(settingIn(body)).toEqual(sent)
  })

  test('as a number is the effort next to it where Anthropic takes no number any more', async () => {
    const { body } = await sentBy({ provider: 'anthropic', model: 'claude-opus-4-7', thinking_budget: 10_000 })
    expect(body).toMatchObject({ output_config: { effort: 'medium' } })
  })
})

/** A title of 20 tokens would be over before it began where thinking counts as well. */
test.each<readonly [provider: string, model: string, tokens: number]>([
  ['openai', 'gpt-4o', 20],
  ['openai', 'gpt-5.1', 20],
  ['openai', 'gpt-5', 1020],
  ['openai', 'o3', 1020],
  ['anthropic', 'claude-sonnet-4-5', 20],
  ['google', 'gemini-2.5-flash', 20],
  ['google', 'gemini-2.5-pro', 1020],
  ['google', 'gemini-3.5-flash', 1020],
  ['deepseek', 'deepseek-v4-pro', 1020],
  ['mistral', 'mistral-small', 20],
])(
  'An answer of 20 tokens has room for what %s/%s thinks though it should not: %i',
  async (provider, model, tokens) => {
    const off = { thinking: 'off', purpose: 'title', maxOutputTokens: 20 } as const
    const api = provider === 'openai' && model !== 'gpt-4o' ? responses : {}
    const { body } = await sentBy({ provider, model, ...api }, off)
    expect(JSON.stringify(body)).toMatch(new RegExp(`"(max_tokens|max_output_tokens|maxOutputTokens)":${tokens}\\b`))
    expect(JSON.stringify(body)).not.toContain('summary')
  },
)

function settingIn(body: unknown): unknown {
  const { reasoning, thinking, generationConfig } = Object(body)
  return reasoning ?? thinking ?? generationConfig?.thinkingConfig
}
