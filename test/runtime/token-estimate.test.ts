import { describe, expect, it } from 'vitest'
import type { Item, Message } from '../../src/protocol/protocol.ts'
import { estimatedTokens, usedTokens } from '../../src/runtime/token-estimate.ts'
import { assistant, user } from './run-context.ts'

const usage = (input_tokens: number, output_tokens: number, cached = 0, written = 0) => ({
  usage: { input_tokens, output_tokens, cached_input_tokens: cached, cached_write_tokens: written },
})

function used(...history: readonly (Message | Item)[]): number {
  return Math.round(usedTokens(history.map((entry) => ('agent_name' in entry ? { message: entry } : entry))))
}

/** A text of so many tokens, without the five of its message. */
const text = (tokens: number) => 'x'.repeat(Math.ceil(tokens * 3.5))

describe('an estimate', () => {
  it('counts 3.5 characters as a token, and five for each message', () => {
    expect(estimatedTokens([])).toBe(0)
    expect(estimatedTokens([{ role: 'user', content: 'x'.repeat(35) }])).toBe(15)
    expect(
      estimatedTokens([
        { role: 'user', content: '' },
        { role: 'tool', content: 'x'.repeat(7) },
      ]),
    ).toBe(12)
  })

  it('counts what a model thought, and the tools that it wants called', () => {
    const call = { id: 'c', type: 'function' as const, function: { name: 'abcd', arguments: '{"a":12345}' } }
    expect(
      estimatedTokens([{ role: 'assistant', content: '', reasoning_content: 'x'.repeat(20), tool_calls: [call] }]),
    ).toBe(15)
  })

  it('counts texts of several parts once, and 1,500 for an attachment', () => {
    const parts = [{ type: 'text' as const, text: 'x'.repeat(35) }]
    const image = { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,AAAA' } }
    expect(estimatedTokens([{ role: 'user', content: '', multi_content: parts }])).toBe(15)
    expect(estimatedTokens([{ role: 'user', content: 'x'.repeat(35), multi_content: parts }])).toBe(15)
    expect(estimatedTokens([{ role: 'user', content: '', multi_content: [...parts, image, image] }])).toBe(3015)
  })
})

describe('what the next call sends', () => {
  it('is estimated until a model has reported something', () => {
    expect(used()).toBe(0)
    expect(used(user(text(10)), assistant(text(20)))).toBe(15 + 25)
  })

  it('is what was reported, caches included, and an estimate of what came after it', () => {
    const answer = assistant(text(500), usage(100, 7, 20, 3))
    expect(used(user(text(1000)), answer)).toBe(130)
    expect(used(user(text(1000)), answer, user(text(10)))).toBe(130 + 15)
  })

  it('does not take nothing for a report', () => {
    expect(used(user(text(10)), assistant(text(20), usage(0, 0)))).toBe(40)
    expect(used(user('x'), assistant('y', usage(100, 7)), user(text(1)), assistant(text(2), usage(0, 0)))).toBe(
      107 + 6 + 7,
    )
  })

  it('leaves out what no model is sent', () => {
    const cut = assistant(text(100), { finish_reason: 'interrupted' })
    const system: Message = { agent_name: '', message: { role: 'system', content: text(100) } }
    expect(used(user(text(10)), cut, system, { error: { message: 'x' } })).toBe(15)
  })

  it.each([
    ['as they were reported', 1200, 1.2],
    ['at least as three quarters', 10, 0.75],
    ['at least as three quarters when less was sent than before', -500, 0.75],
    ['at most as twice as much', 9000, 2],
  ])('counts estimated tokens %s from 512 on', (_, growth, factor) => {
    const first = assistant(text(995), usage(1000, 995))
    const last = assistant('y', usage(1000 + growth, 5))
    expect(used(user('what?'), first, last, user(text(95)))).toBeCloseTo(1005 + growth + factor * 100)
  })

  it('takes the prompt that every call sends for no mistake of the estimate', () => {
    expect(used(user(text(595)), assistant('y', usage(30_000, 0)), user(text(95)))).toBe(30_100)
  })

  it('does not correct an estimate by less than 512 tokens', () => {
    const first = assistant(text(506), usage(1000, 1))
    const last = (content: string) => [first, assistant('y', usage(3000, 0)), user(content)]
    expect(used(user('what?'), ...last(text(95)))).toBe(3100)
    expect(used(user('what?'), assistant(text(507), usage(1000, 1)), ...last(text(95)).slice(1))).toBe(3200)
  })

  it('counts a summary and what is kept as it is, whatever was reported before', () => {
    const before = [user(text(1000)), assistant(text(1000), usage(50_000, 1000)), user(text(10))]
    const summary = { summary: text(20), first_kept_entry: 2 }
    expect(used(...before, summary)).toBe(25 + 15)
    expect(used(...before, summary, user(text(30)))).toBe(25 + 15 + 35)
    expect(used(...before, { summary: text(20) }, user(text(30)))).toBe(25 + 35)
    expect(used(...before, summary, assistant('y', usage(70, 3)), user(text(30)))).toBe(73 + 35)
  })

  it('counts the last of several summaries', () => {
    const first = { summary: text(500), first_kept_entry: 0 }
    expect(used(user(text(10)), first, user(text(20)), { summary: text(30), first_kept_entry: 2 })).toBe(35 + 25)
  })
})
