import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encode, maxEventBytes } from '../../src/event-log/encode.ts'
import type { ForeignEvent } from '../../src/protocol/protocol.ts'

const MiB = 1024 * 1024

describe('encode', () => {
  it('writes JSON in one line, with the type first, that says what the event says', () => {
    const event = fc.record({
      type: fc.string({ unit: 'binary' }),
      content: fc.string({ unit: 'binary' }),
      more: fc.jsonValue(),
    })
    const withMore = fc.tuple(event, fc.dictionary(fc.oneof(fc.string(), fc.nat().map(String)), fc.jsonValue()))
    fc.assert(
      fc.property(withMore, ([event, more]) => {
        const whole: ForeignEvent = { ...more, ...event }
        const json = encode(whole)
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(whole)))
        expect(json.startsWith(`{"type":${JSON.stringify(event.type)}`)).toBe(true)
        expect(json).not.toMatch(/[\n\r]/)
      }),
    )
  })

  it.each([
    ['only a type', { type: 'x' }, '{"type":"x"}'],
    ['fields that are undefined', { type: 'x', run_id: undefined }, '{"type":"x"}'],
    ['keys that look like numbers', { 1: 'a', type: 'x' }, '{"type":"x","1":"a"}'],
    ['an odd type', { type: '"\n' }, '{"type":"\\"\\n"}'],
  ] satisfies [string, ForeignEvent, string][])('writes %s', (_, event, json) => {
    expect(encode(event)).toBe(json)
  })

  it('leaves an event whole that just fits', () => {
    const frame = encode({ type: 'x', text: '' }).length
    const text = 'x'.repeat(maxEventBytes - frame)
    expect(JSON.parse(encode({ type: 'x', text }))).toEqual({ type: 'x', text })
    expect(encode({ type: 'x', text: `${text}x` })).toContain('characters cut')
  })

  it('keeps the beginning and the end of a text that is too long, and says how much is missing', () => {
    const { text, short } = JSON.parse(encode({ type: 'x', text: `begin${'.'.repeat(9 * MiB)}end`, short: 'kept' }))
    expect(text).toMatch(/^begin\.+\n\[… 8388616 characters cut …\]\n\.+end$/)
    expect(text.replace(/\n\[.*\]\n/, '')).toHaveLength(MiB)
    expect(short).toBe('kept')
  })

  it.each([
    ['one text of characters of three bytes', { text: '世'.repeat(4 * MiB) }],
    ['one text of control characters, six bytes each', { text: '\u0001'.repeat(3 * MiB) }],
    ['many texts', { parts: Array.from({ length: 100 }, () => ({ text: 'x'.repeat(200_000) })) }],
    ['very many short texts', { parts: Array.from({ length: 200_000 }, () => 'x'.repeat(60)) }],
    ['very many numbers', { data: Array.from({ length: 1_700_000 }, () => 1234) }],
    [
      'very many keys',
      { data: Object.fromEntries(Array.from({ length: 600_000 }, (_, at) => [`key number ${at}`, 1])) },
    ],
  ])('makes an event fit that is too long for %s', (_, more) => {
    const json = encode({ type: 'tool_call_response', tool_call_id: 'call-1', ...more })
    expect(Buffer.byteLength(json)).toBeLessThanOrEqual(maxEventBytes)
    expect(JSON.parse(json)).toMatchObject({ type: 'tool_call_response', tool_call_id: 'call-1' })
    expect(json).toContain('characters cut')
  })

  it('cuts no character in two', () => {
    for (const shift of ['', '.']) {
      const { text } = JSON.parse(encode({ type: 'x', text: `${shift}${'🚢'.repeat(3 * MiB)}` }))
      expect(text.isWellFormed()).toBe(true)
    }
  })
})
