/**
 * Texts that open something, as their issuers shape them. What is searched may be long and somebody's malice, so no pattern
 * may look at a character more often than a few times.
 */
const secrets: readonly RegExp[] = [
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\bgh[pousr]_[A-Za-z0-9]{36,255}\b/g,
  /\bgithub_pat_[A-Za-z0-9_]{60,255}\b/g,
  /\bglpat-[A-Za-z0-9_-]{20,100}/g,
  /\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,250}/g,
  /\bAIza[A-Za-z0-9_-]{35}/g,
  /\bxox[abeoprs]-[A-Za-z0-9-]{10,250}/g,
  /\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}\b/g,
  /\bnpm_[A-Za-z0-9]{36}\b/g,
  /\bpypi-[A-Za-z0-9_-]{50,250}/g,
  /\bhf_[A-Za-z0-9]{30,60}\b/g,
  /\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,100}/g,
  /(?<![\w-])eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}/g,
]

const mark = '[REDACTED]'

const keyBegin = /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----/g
const keyEnd = /-----END [A-Z ]{0,40}PRIVATE KEY-----/g
const longestKey = 20_000

/** The same text with the secrets in it taken out. */
export function redactText(text: string): string {
  return withoutKeys(secrets.reduce((rest, pattern) => rest.replaceAll(pattern, mark), text))
}

/** Keys have a beginning and an end, which are looked for one after the other. One that has no end is left as it is. */
function withoutKeys(text: string): string {
  const ends = [...text.matchAll(keyEnd)].map((end) => ({ at: end.index, after: end.index + end[0].length }))
  let out = ''
  let done = 0
  let next = 0
  for (const { index } of text.matchAll(keyBegin)) {
    while ((ends[next]?.at ?? Number.POSITIVE_INFINITY) < index) next++
    const end = ends[next]
    if (index < done || end === undefined || end.at - index > longestKey) continue
    out += text.slice(done, index) + mark
    done = end.after
  }
  return out + text.slice(done)
}

/** The same JSON value with the secrets in its texts taken out; the value itself when there are none. */
export function redact(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value)
  if (Array.isArray(value)) {
    const items = value.map(redact)
    return items.every((item, at) => item === value[at]) ? value : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, item]) => [key, item, redact(item)] as const)
  if (entries.every(([, before, after]) => before === after)) return value
  return Object.fromEntries(entries.map(([key, , after]) => [key, after]))
}
