import { describe, expect, it } from 'vitest'
import { wholeFrames } from '../../src/event-log/event-log.ts'
import { frame } from '../../src/protocol/protocol.ts'

const one = (seq: number) => frame(seq, `{"type":"x","n":${seq}}`)
const text = (...seqs: number[]) => seqs.map(one).join('')
const segment = (last: number, whole: string) => ({ first: 1, last, text: whole })

describe('The part of a segment that can be read', () => {
  it('is the segment as it is when all of it can, also where retention has taken events out', () => {
    for (const whole of [segment(4, text(1, 2, 3, 4)), segment(9, text(3, 5)), segment(9, '')]) {
      expect(wholeFrames(whole, 0)).toBe(whole)
    }
  })

  it('ends before what is damaged, and begins after it for whoever has come there', () => {
    const whole = segment(5, `${text(1, 2)}id: 3\ndata: {"ty\n\n${text(4, 5)}`)
    expect(wholeFrames(whole, 0)).toEqual({ first: 1, last: 2, text: text(1, 2) })
    expect(wholeFrames(whole, 1)).toEqual({ first: 1, last: 2, text: text(1, 2) })
    expect(wholeFrames(whole, 2)).toEqual({ first: 4, last: 5, text: text(4, 5), lacks: 'damaged' })
    expect(wholeFrames(whole, 4)).toEqual({ first: 4, last: 5, text: text(4, 5), lacks: 'damaged' })
  })

  it.each([
    'id: 2',
    'id: 2\ndata: {"type":"x"}',
    'id: 2\ndata: {\n"type":"x"}\n\n',
    'id: 99\ndata: {}\n\n',
    'id: x\ndata: {}\n\n',
    '\n\n',
    'data: {}\n\n',
  ])('skips %j', (broken) => {
    expect(wholeFrames(segment(2, text(1) + broken), 0)).toEqual({ first: 1, last: 1, text: text(1) })
    const nothing = { first: 3, last: 2, text: '', lacks: 'damaged' }
    expect(wholeFrames(segment(2, text(1) + broken), 1)).toEqual(nothing)
    expect(wholeFrames(segment(2, broken), 0)).toEqual(nothing)
    expect(wholeFrames(segment(3, broken.endsWith('\n\n') ? broken + text(3) : text(3)), 1).last).toBe(3)
  })

  it('says nothing of a sequel of frames that tells a seq twice: the first one counts', () => {
    const whole = segment(3, text(1, 2, 2, 3))
    expect(wholeFrames(whole, 0)).toBe(whole)
  })
})
