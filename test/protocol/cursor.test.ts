import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Cursor, type LogBounds, parseCursor, startAt } from '../../src/protocol/protocol.ts'

const empty: LogBounds = { oldest: 0, head: 0 }
const whole: LogBounds = { oldest: 1, head: 9 }
const cut: LogBounds = { oldest: 5, head: 9 }

test.each<[string, Cursor | undefined]>([
  ['0', 0],
  ['7', 7],
  ['007', 7],
  ['9007199254740991', Number.MAX_SAFE_INTEGER],
  ['9007199254740992', undefined],
  ['00000000000000007', undefined],
  ['', undefined],
  ['-1', undefined],
  ['+1', undefined],
  ['1.0', undefined],
  ['1e3', undefined],
  [' 1', undefined],
  ['0x1', undefined],
  ['١', undefined],
])('reads %j as a cursor or refuses it', (text, cursor) => {
  expect(parseCursor(text)).toBe(cursor)
})

test('reads back every cursor that a log can give out', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (cursor) => parseCursor(String(cursor)) === cursor))
})

describe('startAt', () => {
  test.each([
    ['begins with the oldest event without a cursor', undefined, cut, 4, undefined],
    ['begins an empty log at 0', undefined, empty, 0, undefined],
    ['goes on behind the cursor', 7, cut, 7, undefined],
    ['waits at the head', 9, cut, 9, undefined],
    ['takes the place before the oldest event', 4, cut, 4, undefined],
    ['replays a whole log from 0', 0, whole, 0, undefined],
    ['takes 0 in an empty log', 0, empty, 0, undefined],
    ['tells what retention has passed', 3, cut, 4, 'retention'],
    ['tells it of 0 too', 0, cut, 4, 'retention'],
    ['tells what is ahead of the head, and goes on there', 10, cut, 9, 'ahead'],
    ['tells it in an empty log', 1, empty, 0, 'ahead'],
    ['tells what nobody can read, and goes on at the head', null, cut, 9, 'invalid'],
  ] as const)('%s', (_title, cursor, bounds, after, reason) => {
    const gap = reason === undefined ? undefined : { requested: cursor, reason }
    expect(startAt(cursor, bounds)).toEqual({ after, gap })
  })

  test('begins inside the log, and tells of a gap exactly when it is not what was asked for', () => {
    const bounds = fc.tuple(fc.nat(50), fc.nat(50)).map(([a, b]): LogBounds => {
      return a === 0 ? empty : { oldest: Math.min(a, b + 1), head: Math.max(a, b + 1) }
    })
    fc.assert(
      fc.property(fc.option(fc.nat(60), { nil: undefined }), bounds, (cursor, log) => {
        const { after, gap } = startAt(cursor, log)
        expect(after).toBeGreaterThanOrEqual(Math.max(log.oldest - 1, 0))
        expect(after).toBeLessThanOrEqual(log.head)
        expect(gap === undefined).toBe(cursor === undefined || after === cursor)
        expect(gap?.requested).toBe(gap === undefined ? undefined : cursor)
      }),
    )
  })

  test('tells of no gap to a reader that comes back with what it was given', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.integer({ min: 1, max: 50 }), (cursor, head) => {
        const log = { oldest: Math.ceil(head / 2), head }
        expect(startAt(startAt(cursor, log).after, log).gap).toBeUndefined()
      }),
    )
  })
})
