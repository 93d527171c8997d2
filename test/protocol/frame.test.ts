import fc from 'fast-check'
import { expect, test } from 'vitest'
import { frame, parseFrames } from '../../src/protocol/protocol.ts'

test('writes an id, the data and a blank line', () => {
  expect(frame(7, '{"type":"warning"}')).toBe('id: 7\ndata: {"type":"warning"}\n\n')
})

test('writes no id for what stands in no log', () => {
  expect(frame(undefined, '{"type":"gap"}')).toBe('data: {"type":"gap"}\n\n')
})

test('finds nothing in nothing', () => {
  expect([...parseFrames('')]).toEqual([])
})

test('reads back every frame that was written, whatever the JSON holds', () => {
  const framed = fc.record({ seq: fc.integer({ min: 1 }), json: fc.json() })
  fc.assert(
    fc.property(fc.array(framed), (frames) => {
      const text = frames.map(({ seq, json }) => frame(seq, json)).join('')
      expect([...parseFrames(text)]).toEqual(frames)
    }),
  )
})

test('reads back texts with line breaks and with what looks like a frame', () => {
  const json = JSON.stringify({ content: 'a\n\nid: 9\ndata: {}\n\n\r\n\u2028' })
  expect([...parseFrames(frame(1, json) + frame(2, json))]).toEqual([
    { seq: 1, json },
    { seq: 2, json },
  ])
})
