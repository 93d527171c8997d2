import { describe, expect, test } from 'vitest'
import { createModels, ModelFailure } from '../../src/models/models.ts'
import type { ChatMessage } from '../../src/protocol/protocol.ts'
import { collect, stored, turn, user } from './collect.ts'

const models = createModels({ env: {} })

function scripted(script?: unknown) {
  return models.open({
    provider: 'scripted',
    model: 'demo',
    ...(script !== undefined && { provider_opts: { script } }),
    cost: { input: 1, output: 4 },
  })
}

const answered: ChatMessage = { role: 'assistant', content: 'an answer' }

describe('a script', () => {
  test('is played turn by turn and starts over', async () => {
    const model = await scripted([[{ text: 'one' }], [{ text: 'two' }]])
    const texts: string[] = []
    const messages: ChatMessage[] = []
    for (let place = 0; place < 3; place += 1) {
      messages.push(user('next'))
      const answer = await collect(model, turn(messages))
      texts.push(answer.text)
      messages.push(stored(model, answer))
    }
    expect(texts).toEqual(['one', 'two', 'one'])
  })

  test('does not count answers that were interrupted', async () => {
    const model = await scripted([[{ text: 'one' }], [{ text: 'two' }]])
    const cut: ChatMessage = { ...answered, finish_reason: 'interrupted' }
    expect((await collect(model, turn([user('a'), cut, user('b')]))).text).toBe('one')
    expect((await collect(model, turn([user('a'), answered, user('b')]))).text).toBe('two')
  })

  test.each([[undefined], [[]]])('that is %j is one fixed sentence', async (script) => {
    const { text, finish } = await collect(await scripted(script), turn([user('hi')]))
    expect(text).toMatch(/^This model has no script/)
    expect(finish.finish_reason).toBe('stop')
  })

  test('says text and reasoning word by word, or as many characters at a time as it is told', async () => {
    const model = await scripted([[{ reasoning: 'let me see' }, { text: 'abçd🙂f', chunk: 2 }]])
    const { parts } = await collect(model, turn([user('hi')]))
    expect(parts.slice(0, -1)).toEqual([
      { type: 'reasoning', text: 'let ' },
      { type: 'reasoning', text: 'me ' },
      { type: 'reasoning', text: 'see' },
      { type: 'text', text: 'ab' },
      { type: 'text', text: 'çd' },
      { type: 'text', text: '🙂f' },
    ])
  })

  test('calls tools with ids that are the same on every replay and new in every turn', async () => {
    const call = { tool_call: { name: 'shell', arguments: { cmd: 'echo {{last_user_message}}' } }, chunk: 4 }
    const model = await scripted([[{ text: 'ok' }, call, call]])
    const once = await collect(model, turn([user('say "hi"')]))
    const again = await collect(model, turn([user('say "hi"')]))
    const later = await collect(model, turn([user('a'), answered, user('say "hi"')]))
    expect(again).toEqual(once)
    expect(once.finish.finish_reason).toBe('tool_calls')
    expect(once.finish.tool_calls.map((one) => one.id)).toEqual(['call_1_1', 'call_1_2'])
    expect(later.finish.tool_calls.map((one) => one.id)).toEqual(['call_2_1', 'call_2_2'])
    for (const made of once.finish.tool_calls) {
      expect(once.streamed[made.id ?? '']).toEqual(made.function)
      expect(JSON.parse(made.function.arguments ?? '')).toEqual({ cmd: 'echo say "hi"' })
    }
  })

  test('repeats what the user said last', async () => {
    const model = await scripted([[{ text: 'You said: {{last_user_message}} ({{last_user_message}})' }]])
    const { text } = await collect(model, turn([user('no'), answered, user('$& yes')]))
    expect(text).toBe('You said: $& yes ($& yes)')
  })

  test('fails as it says, after what it said', async () => {
    const model = await scripted([[{ text: 'so far' }, { error: { code: 'rate_limited', message: 'Slow down.' } }]])
    const parts: unknown[] = []
    const read = async () => {
      for await (const part of model.stream(turn([user('hi')]), new AbortController().signal)) parts.push(part)
    }
    const failure = await read().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ModelFailure)
    expect(failure).toMatchObject({ code: 'rate_limited', reason: 'scripted', message: 'Slow down.', retryable: false })
    expect(parts).toHaveLength(2)
  })

  test('counts four characters as a token, and costs what its definition says', async () => {
    const model = await scripted([[{ reasoning: '12345678' }, { text: '1234567' }]])
    const { finish } = await collect(model, turn([{ role: 'system', content: '12345678' }, user('1')]))
    expect(finish.usage).toEqual({
      input_tokens: 3,
      output_tokens: 4,
      cached_input_tokens: 0,
      cached_write_tokens: 0,
      reasoning_tokens: 2,
    })
    expect(finish.cost).toBeCloseTo((3 * 1 + 4 * 4) / 1e6, 12)
  })

  test('leaves titles and summaries out of it', async () => {
    const model = await scripted([[{ error: { code: 'model_error' } }]])
    const title = async (content: string) => (await collect(model, turn([user(content)], { purpose: 'title' }))).text
    expect(await title('How do I bake bread without any yeast at home?')).toBe('How do I bake bread without')
    expect(await title('Make a title.\n\n1. fix the tests\n2. thanks')).toBe('fix the tests')
    expect(await title('')).toBe('Untitled')
    expect((await title('x'.repeat(200))).length).toBe(50)
    const summary = await collect(model, turn([user('hi')], { purpose: 'compaction' }))
    expect(summary.text).toBe('A scripted summary of the conversation so far.')
  })
})

describe('a wait', () => {
  test('ends with the signal, whichever step it is in', async () => {
    const reason = new Error('stopped')
    for (const step of [{ delay: '1h' }, { text: 'a b', every: '1h' }]) {
      const model = await scripted([[step]])
      const stop = new AbortController()
      const parts = model.stream(turn([user('hi')]), stop.signal)
      if ('text' in step) await parts.next()
      const waiting = parts.next()
      stop.abort(reason)
      await expect(waiting).rejects.toBe(reason)
    }
  })

  test('does not begin after the signal', async () => {
    const model = await scripted([[{ delay: '1h' }]])
    const signal = AbortSignal.abort(new Error('before'))
    await expect(collect(model, turn([user('hi')]), signal)).rejects.toThrow('before')
  })

  test('ends by itself', async () => {
    const model = await scripted([[{ delay: '2ms' }, { text: 'a b c', every: '1ms' }]])
    expect((await collect(model, turn([user('hi')]))).text).toBe('a b c')
  })
})

describe('a script that is wrong', () => {
  test.each([
    ['no list', 'hello', 'provider_opts.script'],
    ['a turn that is no list', [{ text: 'a' }], 'provider_opts.script.0'],
    ['an unknown step', [[{ say: 'a' }]], 'provider_opts.script.0.0'],
    ['two steps in one', [[{ text: 'a', reasoning: 'b' }]], 'provider_opts.script.0.0'],
    ['an unknown key in a step', [[{ text: 'a', colour: 'red' }]], 'provider_opts.script.0.0'],
    ['a delay that is no duration', [[{ text: 'a' }, { delay: 'soon' }]], 'provider_opts.script.0.1.delay'],
    ['a negative wait', [[{ text: 'a', every: '-1s' }]], 'provider_opts.script.0.0.every'],
    ['an error code that does not exist', [[{ error: { code: 'oops' } }]], 'provider_opts.script.0.0.error.code'],
    ['a call without a name', [[{ tool_call: { arguments: {} } }]], 'provider_opts.script.0.0.tool_call.name'],
  ])('is refused at open, with its place: %s', async (_, script, path) => {
    const refusal = await scripted(script).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ code: 'invalid_model', details: [expect.objectContaining({ path })] })
  })
})
