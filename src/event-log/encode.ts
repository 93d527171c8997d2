import type { ForeignEvent } from '../protocol/protocol.ts'

/** Longest event on the wire, in bytes of its JSON; a little under the 16 MiB line that old clients accept. */
export const maxEventBytes = 8 * 1024 * 1024

/** How much of a long string stays, in UTF-16 units: as much as makes the event fit. Few steps, because each takes long. */
const lengths = [1024 * 1024, 16 * 1024, 256] as const

/**
 * Writes an event as JSON with `type` first, so that a reader can tell its type from the beginning of the text. An event
 * that is too long has its long strings cut in the middle, and if that is not enough its long fields replaced, with a
 * mark that says how much is missing.
 */
export function encode(event: ForeignEvent): string {
  const json = write(event)
  if (fits(json)) return json
  for (const keep of lengths) {
    const shorter = withTypeFirst(event, (_key, value) => cut(value, keep))
    if (fits(shorter)) return shorter
  }
  return withTypeFirst({ ...event, ...replaced(event) })
}

/** Nearly every event has its type in front already. */
function write(event: ForeignEvent): string {
  const json = JSON.stringify(event)
  return json.startsWith('{"type":') ? json : withTypeFirst(event)
}

/** By hand, because objects list keys that look like numbers before all others. */
function withTypeFirst({ type, ...rest }: ForeignEvent, replacer?: (key: string, value: unknown) => unknown): string {
  const head = `{"type":${JSON.stringify(type)}`
  const json = JSON.stringify(rest, replacer)
  return json === '{}' ? `${head}}` : `${head},${json.slice(1)}`
}

/** No character of UTF-16 takes more than three bytes. */
function fits(json: string): boolean {
  return json.length <= maxEventBytes / 3 || Buffer.byteLength(json) <= maxEventBytes
}

function cut(value: unknown, keep: number): unknown {
  if (typeof value !== 'string' || value.length <= 2 * keep) return value
  const half = keep / 2
  const text = `${value.slice(0, half)}\n${mark(value.length - keep)}\n${value.slice(-half)}`
  // A character of two units may have been cut in two.
  return text.toWellFormed()
}

/** The fields that are long in their numbers, keys or many short strings. */
function replaced({ type: _, ...rest }: ForeignEvent): Record<string, unknown> {
  const sizes = Object.entries(rest).map(([key, value]) => ({ key, length: JSON.stringify(value)?.length ?? 0 }))
  const long = sizes.filter(({ length }) => length > 64 * 1024)
  return Object.fromEntries(long.map(({ key, length }) => [key, mark(length)]))
}

function mark(length: number): string {
  return `[… ${length} characters cut …]`
}
