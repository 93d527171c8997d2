import { describe, expect, test } from 'vitest'
import { type Comparison, median, ratios, verdict } from '../bench/comparison.ts'
import { withFigures } from '../bench/document.ts'
import { figure, table } from '../bench/table.ts'

const atMost = { bound: 'at most', goal: 4, stretch: 2 } as const
const atLeast = { bound: 'at least', goal: 0.4, stretch: 0.65 } as const

const comparison: Comparison = {
  subject: 'CPU per token',
  reference: 'a plain reader',
  unit: 'µs',
  pairs: [
    { ours: 30, reference: 10 },
    { ours: 80, reference: 20 },
    { ours: 25, reference: 10 },
  ],
  goal: atMost,
}

describe('the figures of a bench', () => {
  test('have the middle value for a median, or the mean of two', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([4, 1, 10, 2])).toBe(3)
    expect(() => median([])).toThrow(RangeError)
  })

  test('compare each measurement with the one beside it', () => {
    expect(ratios(comparison.pairs)).toEqual({ least: 2.5, median: 3, most: 4 })
  })

  test.each([
    { ratio: 2, goal: atMost, met: 'stretch' },
    { ratio: 4, goal: atMost, met: 'goal' },
    { ratio: 4.1, goal: atMost, met: 'missed' },
    { ratio: 0.65, goal: atLeast, met: 'stretch' },
    { ratio: 0.4, goal: atLeast, met: 'goal' },
    { ratio: 0.39, goal: atLeast, met: 'missed' },
  ])('judge $ratio against $goal.bound $goal.goal as $met', ({ ratio, goal, met }) => {
    expect(verdict(ratio, goal)).toBe(met)
  })

  test('are shown with three digits', () => {
    expect([0, 0.1234, 1.2345, 12.345, 123.45, 12_345].map(figure)).toEqual([
      '0',
      '0.123',
      '1.23',
      '12.3',
      '123',
      '12345',
    ])
  })
})

describe('the table of a bench', () => {
  test('says for each comparison what was measured beside what, and whether the goal is met', () => {
    const { goal: _, ...aimless } = comparison
    const [head, rule, ...rows] = table([comparison, { ...aimless, subject: 'aimless' }]).split('\n')
    expect(head).toMatch(/^\| measured +\| ours +\| beside +\|/)
    expect(rule).toMatch(/^\|-+\|(-+\|)+$/)
    expect(rows.map((row) => row.split('|').map((cell) => cell.trim()))).toEqual([
      ['', 'CPU per token', '30.0 µs', '10.0 µs: a plain reader', '3.00x (2.50 – 4.00)', '≤ 4x; ≤ 2x', 'yes', ''],
      ['', 'aimless', '30.0 µs', '10.0 µs: a plain reader', '3.00x (2.50 – 4.00)', '-', '-', ''],
    ])
    expect(new Set([head, rule, ...rows].map((line) => line?.length)).size).toBe(1)
  })

  test('replaces the one that stands between the markers, and nothing else', () => {
    const document = 'before\n<!-- figures -->\nold\n<!-- /figures -->\nafter'
    const written = 'before\n<!-- figures -->\n\nnew\n\n<!-- /figures -->\nafter'
    expect(withFigures(document, 'new')).toBe(written)
    expect(withFigures(written, 'new')).toBe(written)
  })

  test('refuses a document without the markers', () => {
    expect(() => withFigures('nothing', 'new')).toThrow('has no <!-- figures -->')
  })
})
