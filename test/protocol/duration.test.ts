import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseDuration } from '../../src/protocol/duration.ts'

test.each([
  ['0', 0],
  ['+0', 0],
  ['300ms', 300],
  ['1m30s', 90_000],
  ['2h', 7_200_000],
  ['1.5h', 5_400_000],
  ['.5s', 500],
  ['1.s', 1000],
  ['-2s', -2000],
  ['+2s', 2000],
  ['-0s', 0],
  ['250µs', 0.25],
  ['250μs', 0.25],
  ['250us', 0.25],
  ['1000ns', 0.001],
  ['1h1m1s1ms', 3_661_001],
  ['1s1h', 3_601_000],
])('reads %s', (text, ms) => {
  expect(parseDuration(text)).toBeCloseTo(ms, 9)
})

test.each([
  '',
  '1',
  's',
  '-',
  '.s',
  '1 s',
  '1d',
  '1S',
  's1',
  '1e3s',
  '--1s',
  '1s-1s',
  ' 1s',
  '1s ',
  '9999999999h',
  'NaN',
])('takes %j for no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined()
})

/** As Go writes a whole number of milliseconds: `1h2m3.004s`, `5ms`, `0s`. */
function written(ms: number): string {
  const abs = Math.abs(ms)
  const sign = ms < 0 ? '-' : ''
  if (abs === 0) return '0s'
  if (abs < 1000) return `${sign}${abs}ms`
  const hours = Math.floor(abs / 3_600_000)
  const minutes = Math.floor((abs % 3_600_000) / 60_000)
  const seconds = (abs % 60_000) / 1000
  return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}

test('reads back every duration that Go writes', () => {
  fc.assert(
    fc.property(fc.integer({ min: -9_000_000_000, max: 9_000_000_000 }), (ms) => {
      expect(parseDuration(written(ms))).toBeCloseTo(ms, 3)
    }),
    { numRuns: 500 },
  )
})

test('never throws, whatever the text', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'0123456789.hmsunµ+- ') }), (text) => {
      const ms = parseDuration(text)
      expect(ms === undefined || Number.isFinite(ms)).toBe(true)
    }),
    { numRuns: 500 },
  )
})
