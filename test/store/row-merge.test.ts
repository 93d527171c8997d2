import { describe, expect, it } from 'vitest'
import { type LooseRow, mergedRows, mergeLimits, smallRow } from '../../src/store/row-merge.ts'

const none = (_session: number): number => 0

/** Rows of one event each from `first` on, with ids that other sessions' rows lie between. */
function rows(first: number, count: number, more: Partial<LooseRow> = {}): readonly LooseRow[] {
  return Array.from({ length: count }, (_, n) => {
    const seq = first + n
    return { id: 10 * seq, session: 1, first: seq, last: seq, at: 0, size: 10, text: `${seq};`, ...more }
  })
}

/** Which events each merged row holds. */
function ends(loose: readonly LooseRow[], headOf = none): readonly string[] {
  return mergedRows(loose, headOf).map(({ first, last }) => `${first}-${last}`)
}

describe('merging rows of events', () => {
  it('joins those of each session that follow one another', () => {
    const own = rows(3, 20)
    const loose = [...own, ...rows(7, 1, { session: 2 }), ...rows(1, 16, { session: 3 })]
    const [one, two, ...others] = mergedRows(loose, none)
    expect(one).toEqual({
      ids: own.map(({ id }) => id),
      session: 1,
      first: 3,
      last: 22,
      at: 0,
      text: own.map(({ text }) => text).join(''),
    })
    expect(two).toMatchObject({ session: 3, first: 1, last: 16 })
    expect(others).toEqual([])
  })

  it('leaves too few as they are', () => {
    expect(ends(rows(1, mergeLimits.rows - 1))).toEqual([])
    expect(ends([...rows(1, 15), ...rows(17, 15)])).toEqual([])
  })

  it('goes over no hole', () => {
    expect(ends([...rows(1, 16), ...rows(18, 16)])).toEqual(['1-16', '18-33'])
  })

  it('makes no row that is larger than a segment', () => {
    expect(ends(rows(1, 48, { size: 3 * 1024 }))).toEqual(['1-21', '22-42'])
  })

  it('leaves large rows as they are, and joins what lies before and after', () => {
    const large = { size: smallRow + 1, text: null }
    expect(ends([...rows(1, 16), ...rows(17, 2, large), ...rows(19, 16)])).toEqual(['1-16', '19-34'])
    expect(ends(rows(1, 40, large))).toEqual([])
  })

  it('makes no row whose events lie far apart, and none that looks older than its newest event', () => {
    const late = { at: mergeLimits.span + 1 }
    expect(ends([...rows(1, 16), ...rows(17, 16, late)])).toEqual(['1-16', '17-32'])
    expect(ends([...rows(1, 16, late), ...rows(17, 16)])).toEqual(['1-16', '17-32'])
    const [merged] = mergedRows([...rows(1, 8), ...rows(9, 1, { at: 5 }), ...rows(10, 8, { at: 3 })], none)
    expect(merged).toMatchObject({ first: 1, last: 17, at: 5 })
  })

  it('leaves a session alone whose rows overlap each other or what has its place', () => {
    expect(ends([...rows(1, 16), ...rows(16, 20)])).toEqual([])
    expect(ends([...rows(1, 20), ...rows(1, 20, { session: 2 })], (session) => (session === 1 ? 1 : 0))).toEqual([
      '1-20',
    ])
  })
})
