import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Segment } from '../../src/event-log/event-log.ts'
import { onlyTypes, after as restAfter, upTo } from '../../src/event-log/segment.ts'
import { frame } from '../../src/protocol/protocol.ts'

/** Texts that a careless cut would take for the edge of a frame. */
const content = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('\n\nid: 3\n', '\n\n', 'data: ', '\\n\\nid: 2\\n', '\u2028'),
)
const jsons = fc.array(
  content.map((content) => JSON.stringify({ type: 'x', content })),
  { minLength: 1, maxLength: 12 },
)
const firsts = fc.oneof(fc.integer({ min: 1, max: 110 }), fc.integer({ min: 1, max: 2 ** 50 }))

function segmentOf(first: number, jsons: readonly string[]): Segment {
  return { first, last: first + jsons.length - 1, text: jsons.map((json, at) => frame(first + at, json)).join('') }
}

describe('a segment', () => {
  it('is cut after a cursor into what it would be without the events before', () => {
    fc.assert(
      fc.property(firsts, jsons, fc.nat(12), (first, jsons, n) => {
        const skipped = Math.min(n, jsons.length - 1)
        expect(restAfter(segmentOf(first, jsons), first - 1 + skipped)).toEqual(
          segmentOf(first + skipped, jsons.slice(skipped)),
        )
      }),
    )
  })

  it('is cut where it would be, when some of its events were taken out', () => {
    fc.assert(
      fc.property(
        firsts,
        jsons,
        fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }),
        fc.nat(12),
        (first, jsons, kept, n) => {
          const whole = segmentOf(first, jsons)
          const textOf = (from: number, to: number) =>
            jsons
              .map((json, at) => (kept[at] === true && at >= from && at < to ? frame(first + at, json) : ''))
              .join('')
          const cut = Math.min(n, jsons.length - 1)
          const thin = { ...whole, text: textOf(0, jsons.length) }
          expect(restAfter(thin, first - 1 + cut).text).toBe(textOf(cut, jsons.length))
          expect(upTo(thin, first + cut).text).toBe(textOf(0, cut + 1))
        },
      ),
    )
  })

  it('is cut up to a seq into what it would be without the events behind', () => {
    fc.assert(
      fc.property(firsts, jsons, fc.nat(12), (first, jsons, n) => {
        const kept = Math.min(n + 1, jsons.length)
        expect(upTo(segmentOf(first, jsons), first - 1 + kept)).toEqual(segmentOf(first, jsons.slice(0, kept)))
      }),
    )
  })

  it('stays as it is when there is nothing to cut', () => {
    const segment = segmentOf(9, ['{"type":"x"}', '{"type":"y"}'])
    expect([restAfter(segment, 3), restAfter(segment, 8), upTo(segment, 10), upTo(segment, 99)]).toEqual([
      segment,
      segment,
      segment,
      segment,
    ])
  })

  it('cuts where the seq is, also when one seq begins like another', () => {
    const segment = segmentOf(
      1,
      Array.from({ length: 120 }, (_, at) => `{"type":"${at + 1}"}`),
    )
    expect(restAfter(segment, 9).text.split('\n')[0]).toBe('id: 10')
    expect(upTo(segment, 9).text.endsWith('{"type":"9"}\n\n')).toBe(true)
  })

  it.each([
    { types: ['a'], shown: [1, 4] },
    { types: ['a', 'b'], shown: [1, 2, 4] },
    { types: ['ab'], shown: [3] },
    { types: ['q"}\\'], shown: [5] },
    { types: ['c', ''], shown: [] },
    { types: [], shown: [] },
  ])('keeps of the types $types the events $shown', ({ types, shown }) => {
    const all = ['a', 'b', 'ab', 'a', 'q"}\\'].map((type) => JSON.stringify({ type, content: '"type":"c"' }))
    const { text } = segmentOf(1, all)
    expect(onlyTypes(text, new Set(types))).toBe(shown.map((seq) => frame(seq, all[seq - 1] ?? '')).join(''))
  })
})
