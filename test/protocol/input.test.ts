import { describe, expect, test } from 'vitest'
import { DetachedRunBody, endpoints, InputMessage, QueueBody, RunBody } from '../../src/protocol/protocol.ts'

describe('the body of a run', () => {
  test('is an object', () => {
    const body = { messages: [{ role: 'user', content: 'hello' }], model: 'openai/gpt-5' }
    expect(RunBody.parse(body)).toEqual(body)
  })

  test('may be the bare array of its messages', () => {
    expect(RunBody.parse([{ role: 'user', content: 'hello' }])).toEqual({
      messages: [{ role: 'user', content: 'hello' }],
      model: undefined,
    })
  })

  test('may hold no messages', () => {
    expect(RunBody.parse([]).messages).toEqual([])
    expect(RunBody.parse({ messages: [] }).messages).toEqual([])
    expect(RunBody.parse({}).messages).toEqual([])
  })

  test('drops keys that it does not know', () => {
    expect(RunBody.parse({ messages: [], stream: true })).toEqual({ messages: [] })
  })

  test.each([{ messages: null }, { messages: 'hello' }, { messages: [1] }, [1], 'hello', null, undefined])(
    'is not %j',
    (body) => {
      expect(RunBody.safeParse(body).success).toBe(false)
    },
  )

  test('names an agent when it belongs to no connection', () => {
    expect(DetachedRunBody.safeParse({ messages: [] }).success).toBe(false)
    const body = { agent: 'demo', messages: [] }
    expect(DetachedRunBody.parse(body)).toEqual({ ...body, if_busy: 'reject' })
  })
})

describe('a message', () => {
  test('needs no role and no content', () => {
    expect(InputMessage.parse({})).toEqual({ content: '' })
    expect(InputMessage.parse({ role: '', content: 'hello' })).toEqual({ role: '', content: 'hello' })
  })

  test('takes null for no parts', () => {
    expect(InputMessage.parse({ content: 'a', multi_content: null })).toEqual({ content: 'a', multi_content: null })
  })

  test('refuses parts of kinds that do not exist', () => {
    expect(InputMessage.safeParse({ multi_content: [{ type: 'video' }] }).success).toBe(false)
  })

  test('is at least one where messages are queued', () => {
    const result = QueueBody.safeParse({ messages: [] })
    expect(result.error?.issues.map(({ message }) => message)).toEqual(['at least one message is required'])
  })
})

describe('an edit of the transcript', () => {
  const { body } = endpoints.addMessage

  test.each([
    ['agent_name', { agent_name: 'root' }, 'root'],
    ['the old agentName', { agentName: 'root' }, 'root'],
    ['agent_name before agentName', { agent_name: 'root', agentName: 'other' }, 'root'],
    ['no name at all', {}, ''],
  ])('takes %s', (_title, name, expected) => {
    const message = { role: 'user', content: 'hello' }
    expect(body.parse({ message: { ...name, message } })).toEqual({ message: { agent_name: expected, message } })
  })

  test.each([{}, { message: null }, { message: 'hello' }, { message: { role: 'user', content: 'hello' } }, [], null])(
    'refuses %j',
    (value) => {
      expect(body.safeParse(value).success).toBe(false)
    },
  )
})

describe('the body of a summary', () => {
  const { body } = endpoints.addSummary

  test('takes the old name of its first kept entry', () => {
    expect(body.parse({ summary: 'so far', tokens: 4 })).toEqual({ summary: 'so far', first_kept_entry: 4 })
  })

  test('prefers the new name', () => {
    const both = { summary: 'so far', first_kept_entry: 5, tokens: 4 }
    expect(body.parse(both)).toEqual({ summary: 'so far', first_kept_entry: 5 })
  })

  test('leaves out a usage of zeros', () => {
    expect(body.parse({ summary: 'so far', usage: { input_tokens: 0 } })).toEqual({ summary: 'so far' })
    expect(body.parse({ summary: 'so far', usage: null })).toEqual({ summary: 'so far' })
  })

  test('completes a usage', () => {
    const usage = { input_tokens: 0, output_tokens: 3, cached_input_tokens: 0, cached_write_tokens: 0 }
    expect(body.parse({ summary: 'so far', usage: { output_tokens: 3 } })).toEqual({ summary: 'so far', usage })
  })

  test.each([
    { summary: '' },
    {},
    { summary: 'a', model: 'x'.repeat(257) },
    { summary: 'a', model: 'a\nb' },
    { summary: 'a', usage: { input_tokens: -1 } },
    { summary: 'a', cost: -1 },
    { summary: 'a', tokens: -1 },
  ])('refuses %j', (value) => {
    expect(body.safeParse(value).success).toBe(false)
  })
})
