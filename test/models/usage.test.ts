import { describe, expect, test } from 'vitest'
import { capabilitiesOf, catalogueRefs, factsOf } from '../../src/models/catalogue.ts'
import { type Price, parseModelRef } from '../../src/models/models.ts'
import { costOf, usageOf } from '../../src/models/usage.ts'
import type { ChatMessage, MessagePart } from '../../src/protocol/protocol.ts'
import { sentBy } from './sent-by.ts'

const usage = (input_tokens: number, cached_input_tokens = 0, cached_write_tokens = 0, output_tokens = 0) => {
  return { input_tokens, output_tokens, cached_input_tokens, cached_write_tokens }
}

describe('the cost of a call', () => {
  const price: Price = { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 }
  const long: Price = { ...price, long: { above: 1000, input: 6, output: 22.5, cache_read: 0.6 } }

  test.each<readonly [string, ReturnType<typeof usage>, Price | undefined, number]>([
    ['its input', usage(1_000_000), price, 3],
    ['what was read from the cache at its price', usage(0, 1_000_000), price, 0.3],
    ['what was written to the cache at its price', usage(0, 0, 1_000_000), price, 3.75],
    ['its output', usage(0, 0, 0, 1_000_000), price, 15],
    ['all of it together', usage(1000, 2000, 4000, 8000), price, 0.003 + 0.0006 + 0.015 + 0.12],
    [
      'the cache like input where the price names none',
      usage(1, 2, 3, 4),
      { input: 1_000_000, output: 10_000_000 },
      46,
    ],
    ['nothing where no price is known', usage(1, 2, 3, 4), undefined, 0],
    ['the usual price up to the length of a long prompt', usage(500, 300, 200), long, 0.00234],
    ['the price of a long prompt beyond it, cache and all', usage(501, 300, 200, 100), long, 0.006636],
  ])('is %s', (_, used, known, expected) => {
    expect(costOf(used, known)).toBeCloseTo(expected, 9)
  })
})

test('The parts of a prompt are counted once, whether the provider counts the cache in or not', () => {
  const inputTokens = { total: 1000, noCache: undefined, cacheRead: 600, cacheWrite: 100 }
  const outputTokens = { total: 50, text: 20, reasoning: 30 }
  const expected = { ...usage(300, 600, 100, 50), reasoning_tokens: 30 }
  expect(usageOf({ inputTokens, outputTokens })).toEqual(expected)
  expect(usageOf({ inputTokens: { ...inputTokens, noCache: 300 }, outputTokens })).toEqual(expected)
})

describe('the catalogue', () => {
  test.each(catalogueRefs)('has figures that can be true for %s', (ref) => {
    const definition = parseModelRef(ref)
    if (definition === undefined) throw new Error('it is no reference')
    const { contextLimit = 0, outputLimit = 0, price } = factsOf(definition)
    expect(outputLimit).toBeGreaterThan(0)
    expect(contextLimit).toBeGreaterThanOrEqual(outputLimit)
    for (const { input, output, cache_read = 0 } of [price, price?.long ?? price].filter((one) => one !== undefined)) {
      expect(output).toBeGreaterThanOrEqual(input)
      expect(cache_read).toBeLessThanOrEqual(input)
    }
  })

  test('knows what a long prompt costs, unless the file names a price', () => {
    const definition = { provider: 'google', model: 'gemini-2.5-pro' }
    expect(factsOf(definition).price?.long).toMatchObject({ above: 200_000, input: 2.5 })
    expect(factsOf({ ...definition, cost: { input: 1, output: 1 } }).price).toEqual({ input: 1, output: 1 })
  })

  test('knows who sees nothing, unless the file says otherwise', () => {
    const blind = { provider: 'openai', model: 'o3-mini' }
    expect(capabilitiesOf(blind)).toEqual({ image: false, pdf: false })
    expect(capabilitiesOf({ ...blind, capabilities: { image: true } })).toEqual({ image: true, pdf: false })
    expect(capabilitiesOf({ provider: 'openai', model: 'gpt-4o' })).toEqual({ image: undefined, pdf: undefined })
    expect(capabilitiesOf({ provider: 'any', model: 'other' })).toEqual({ image: undefined, pdf: undefined })
  })
})

test('A model that reads text only is told of an image instead of being shown it', async () => {
  const image: MessagePart = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }
  const messages: ChatMessage[] = [{ role: 'user', content: 'what is this?', multi_content: [image] }]
  const sent = async (definition: object) =>
    JSON.stringify((await sentBy({ provider: 'deepseek', model: 'deepseek-v4-pro', ...definition }, { messages })).body)
  expect(await sent({})).toContain('this model takes no images')
  expect(await sent({})).not.toContain('iVBORw0KGgo')
  expect(await sent({ capabilities: { image: true } })).toContain('iVBORw0KGgo')
})
