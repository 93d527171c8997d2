/** Texts that open something, as their issuers shape them. */
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
  /\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}/g,
  /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]{0,20000}?-----END [A-Z ]{0,40}PRIVATE KEY-----/g,
]

const mark = '[REDACTED]'

/** The same JSON value with the secrets in its texts taken out; the value itself when there are none. */
export function redact(value: unknown): unknown {
  if (typeof value === 'string') return secrets.reduce((text, pattern) => text.replaceAll(pattern, mark), value)
  if (Array.isArray(value)) {
    const items = value.map(redact)
    return items.every((item, at) => item === value[at]) ? value : items
  }
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, item]) => [key, item, redact(item)] as const)
  if (entries.every(([, before, after]) => before === after)) return value
  return Object.fromEntries(entries.map(([key, , after]) => [key, after]))
}
