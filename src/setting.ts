import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { parseDuration } from './protocol/protocol.ts'

/** A setting read from text; what `parse` answers `undefined` for is refused with the words of what was expected. */
export function setting<T>(expected: string, parse: (text: string) => T | undefined) {
  return z.string().transform((text, context): T => {
    const value = parse(text)
    if (value !== undefined) return value
    context.addIssue({ code: 'custom', message: `must be ${expected}, not "${text}"` })
    return z.NEVER
  })
}

const day = 24 * 60 * 60 * 1000

/** Milliseconds of a duration such as `90s`, `12h` or `30d12h`: days, then what the wire's durations know. */
export function readDuration(text: string): number | undefined {
  const days = /^(\d+(?:\.\d+)?)d(.*)$/.exec(text)
  const rest = days ? days[2] : text
  const time = rest === '' && days ? 0 : parseDuration(rest ?? '')
  return time === undefined || time < 0 ? undefined : Number(days?.[1] ?? 0) * day + time
}

/** Node's timers fire at once when they are set to 2^31 ms or more, which is a little over 24 days. */
function readTimer(text: string): number | undefined {
  const time = readDuration(text)
  return time !== undefined && time <= 24 * day ? time : undefined
}

export interface Kept {
  readonly ageMs: number
  readonly newest?: number | undefined
}

function readRetention(text: string): Kept | undefined {
  const [age = '', newest, ...rest] = text.split(',')
  const ageMs = readDuration(age)
  if (ageMs === undefined || rest.length > 0) return undefined
  if (newest === undefined) return { ageMs }
  return /^[1-9]\d{0,8}$/.test(newest) ? { ageMs, newest: Number(newest) } : undefined
}

/** How long events are kept, and how many of a session at most: `30d`, or `30d,100000`. */
export const retention = setting(
  'a duration such as 12h or 30d, or with a number of events such as 30d,100000',
  readRetention,
)

/** How long sessions are kept, and how many at most; `undefined` for as long as nobody deletes them. */
export const retentionOrOff = setting(
  'a duration such as 90d, or with a number of sessions such as 90d,1000, or off',
  (text): Kept | 'off' | undefined => (text === 'off' ? 'off' : readRetention(text)),
).transform((kept) => (kept === 'off' ? undefined : kept))

/** A duration, or `undefined` for ever. */
export const durationOrOff = setting('a duration such as 12h or 7d, or off', (text) =>
  text === 'off' ? Number.POSITIVE_INFINITY : readDuration(text),
).transform((time) => (Number.isFinite(time) ? time : undefined))
export const duration = setting('a duration such as 12h or 2d', readDuration)

/** A duration that a timer can wait for. */
export const timer = setting('a duration such as 8s or 1m30s, at most 24d', readTimer)

/** A duration that a timer can wait for, or `undefined` for never. */
export const timerOrOff = setting('a duration such as 30s or 12h, at least 1ms and at most 24d, or off', (text) =>
  text === 'off' ? Number.POSITIVE_INFINITY : readTimer(text) || undefined,
).transform((time) => (Number.isFinite(time) ? time : undefined))

/** An absolute path; `~` is the home directory. */
export const path = z.string().transform(absolute)

export const directory = setting('an existing directory', (text) => {
  const place = absolute(text)
  return statSync(place, { throwIfNoEntry: false })?.isDirectory() ? place : undefined
})

export function wholeNumber(least: number, unit: string, most = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} to ${most}`
  return setting(`a whole number of ${unit}, ${range}`, (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : -1
    return value >= least && value <= most ? value : undefined
  })
}

export function oneOf<const T extends string>(choices: readonly T[]) {
  return setting(`one of ${choices.join(', ')}`, (text) => choices.find((choice) => choice === text))
}

export const yesOrNo = setting('true or false', (text) => {
  return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : undefined
})

/** An origin exactly as browsers send it, so that comparing text is enough. */
export const origin = setting('an origin such as https://app.example.com', (text) => {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  // For schemes that the URL standard does not know, such as those of browser extensions, `origin` says "null".
  const canonical = url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin
  return url.host !== '' && canonical === text ? text : undefined
})

function absolute(text: string): string {
  return resolve(text.replace(/^~(?=\/|$)/, homedir()))
}
