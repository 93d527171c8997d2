import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Ring } from '../../src/event-log/ring.ts'

const none = Number.POSITIVE_INFINITY

function ringOf(frames: readonly string[], limits: { readonly events: number; readonly bytes: number }): Ring {
  const ring = new Ring(0, limits)
  for (const frame of frames) ring.push(frame)
  return ring
}

describe('a ring', () => {
  it('begins empty behind a head', () => {
    const ring = new Ring(41, { events: 2, bytes: 10 })
    expect([ring.first, ring.last, ring.at(41), ring.at(42)]).toEqual([42, 41, undefined, undefined])
    expect(ring.push('a')).toBe(1)
    expect([ring.first, ring.last, ring.at(42)]).toEqual([42, 42, 'a'])
  })

  it('counts bytes, not characters', () => {
    expect(new Ring(0, { events: 1, bytes: 1 }).push('世🚢')).toBe(7)
  })

  it.each([
    { why: 'too many events', limits: { events: 2, bytes: none }, keepFrom: none, first: 4 },
    { why: 'too many bytes', limits: { events: none, bytes: 5 }, keepFrom: none, first: 4 },
    { why: 'nothing too much', limits: { events: 5, bytes: 11 }, keepFrom: none, first: 1 },
    { why: 'too many of everything', limits: { events: 0, bytes: 0 }, keepFrom: none, first: 6 },
    { why: 'too many events, but newer than what may go', limits: { events: 0, bytes: 0 }, keepFrom: 3, first: 3 },
    { why: 'too many bytes, but none may go', limits: { events: none, bytes: 0 }, keepFrom: 1, first: 1 },
  ])('holds from $first on when there is $why', ({ limits, keepFrom, first }) => {
    const ring = ringOf(['aa', 'bb', 'ccc', 'dd', 'ee'], limits)
    ring.evict(keepFrom)
    expect([ring.first, ring.last]).toEqual([first, 5])
    expect([1, 2, 3, 4, 5].map((seq) => seq >= first && ring.at(seq))).toEqual(
      ['aa', 'bb', 'ccc', 'dd', 'ee'].map((frame, at) => at + 1 >= first && frame),
    )
  })

  it('holds what a list would hold that is cut at the front', () => {
    const step = fc.record({ frame: fc.string({ minLength: 1, maxLength: 6 }), evict: fc.boolean(), kept: fc.nat(4) })
    const limits = fc.record({ events: fc.nat(6), bytes: fc.nat(30) })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), limits, fc.nat(1000), (steps, limits, head) => {
        const ring = new Ring(head, limits)
        let held: string[] = []
        for (const { frame, evict, kept } of steps) {
          ring.push(frame)
          held.push(frame)
          if (evict) {
            ring.evict(ring.last + 1 - kept)
            while (held.length > kept && isOver(held, limits)) held = held.slice(1)
          }
          const seqs = Array.from({ length: ring.last - ring.first + 1 }, (_, at) => ring.first + at)
          expect(seqs.map((seq) => ring.at(seq))).toEqual(held)
          expect(seqs.map((seq) => ring.sizeOf(seq))).toEqual(held.map((frame) => Buffer.byteLength(frame)))
        }
        expect(ring.last).toBe(head + steps.length)
      }),
    )
  })
})

function isOver(held: readonly string[], limits: { readonly events: number; readonly bytes: number }): boolean {
  return held.length > limits.events || Buffer.byteLength(held.join('')) > limits.bytes
}
