import { describe, expect, it } from 'vitest'
import { RedactedToolset } from '../../src/tools/redacted-toolset.ts'
import { type CallContext, redact, redactText, type Toolset } from '../../src/tools/tools.ts'
import { call } from './call.ts'

const token = `glpat-${'x'.repeat(20)}`
const begin = '-----BEGIN RSA PRIVATE KEY-----'
const end = '-----END RSA PRIVATE KEY-----'
const jwt = `eyJ${'a'.repeat(20)}.eyJ${'b'.repeat(20)}.${'c'.repeat(20)}`

describe('a text', () => {
  it.each([
    [`a ${token} b`, 'a [REDACTED] b'],
    [`Bearer ${jwt}`, 'Bearer [REDACTED]'],
    [`${begin}\nabc\n${end}\nand ${begin}\nd\n${end}.`, '[REDACTED]\nand [REDACTED].'],
    [`${end} ${begin} no end`, `${end} ${begin} no end`],
    [`${begin}${'x'.repeat(20_001)}${end}`, `${begin}${'x'.repeat(20_001)}${end}`],
    ['nothing to hide', 'nothing to hide'],
  ])('loses its secrets', (given, expected) => {
    expect(redactText(given)).toBe(expected)
  })

  it.each([begin, `${begin}${end}x`, '-eyJ', '-sk-', 'eyJaaaaaaaaaa.'])('made to be slow is not: %s', (piece) => {
    const long = piece.repeat(1_000_000 / piece.length)
    expect(redactText(long).length).toBeGreaterThan(0)
  })

  it('within other values is found, and a value without any is itself', () => {
    expect(redact({ a: [token, 1, { b: token }] })).toEqual({ a: ['[REDACTED]', 1, { b: '[REDACTED]' }] })
    const clean = { a: ['b'] }
    expect(redact(clean)).toBe(clean)
  })
})

describe('a result', () => {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const full = (value: string) => ({
    output: value,
    meta: { value },
    structuredContent: [value],
    documents: [
      { mimeType: 'text/plain', text: value },
      { mimeType: 'text/plain', data: base64(value) },
    ],
  })
  const pictures = { images: [{ mimeType: 'image/png', data: base64(token) }] }

  function toolset(ask: (context: CallContext) => unknown = () => {}): Toolset {
    return new RedactedToolset({
      instruction: undefined,
      tools: [],
      start: async () => {},
      close: async () => {},
      call: async (_, __, context) => {
        context.output(token)
        await ask(context)
        return { ...full(token), ...pictures }
      },
    })
  }

  it('loses its secrets in every text, and says nothing before', async () => {
    const { result, told } = call(toolset(), 'any', {})
    expect(await result).toEqual({ ...full('[REDACTED]'), ...pictures })
    expect(told).toBe('')
  })

  it('is waited for by questions that hold none either', async () => {
    const asked: unknown[] = []
    const elicit: CallContext['elicit'] = async (question) => {
      asked.push(question)
      return { action: 'decline' }
    }
    const schema = { type: 'object', title: token }
    await call(
      toolset((context) => context.elicit({ message: token, schema })),
      'any',
      {},
      { elicit },
    ).result
    expect(asked).toEqual([{ message: '[REDACTED]', schema: { type: 'object', title: '[REDACTED]' } }])
  })
})
