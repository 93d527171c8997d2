import type { ForeignEvent } from '../protocol/protocol.ts'

/** Longest event on the wire, in UTF-16 units of its JSON; a little under the 16 MiB line that old clients accept. */
export const maxEventLength = 8 * 1024 * 1024

/**
 * Writes an event as JSON with `type` first, so that a reader can tell its type from the beginning of the text. An event
 * that is too long has its long strings cut in the middle, with a mark that says how much is missing.
 */
export function encode(event: ForeignEvent): string {
  const { type, ...rest } = event
  const json = JSON.stringify({ type, ...rest })
  if (json.length <= maxEventLength) return json
  let keep = 1024 * 1024
  for (;;) {
    const shorter = JSON.stringify({ type, ...rest }, (_key, value: unknown) => cut(value, keep))
    if (shorter.length <= maxEventLength || keep < 64) return shorter
    keep /= 4
  }
}

function cut(value: unknown, keep: number): unknown {
  if (typeof value !== 'string' || value.length <= keep) return value
  const half = Math.floor(keep / 2)
  const missing = value.length - 2 * half
  return `${value.slice(0, half)}\n[… ${missing} characters cut …]\n${value.slice(-half)}`
}
