/** Milliseconds of each unit Go writes; `µ` exists twice in Unicode, and both are read. */
const units: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
}

const whole = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/
const piece = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/** Go counts nanoseconds in 64 bits; a longer duration is malformed there too. */
const longest = 9_223_372_036_854

/**
 * Reads a duration as Go writes it (`300ms`, `1m30s`, `1.5h`, `-2s`, `0`) and answers in milliseconds, which may have a
 * fraction; `undefined` when the text is no duration.
 */
export function parseDuration(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0
  const [, sign, body] = whole.exec(text) ?? []
  if (body === undefined) return undefined
  let sum = 0
  for (const [, amount = '', unit = ''] of body.matchAll(piece)) sum += Number(amount) * (units[unit] ?? Number.NaN)
  if (!(sum <= longest)) return undefined
  return sign === '-' && sum !== 0 ? -sum : sum
}
