import { type Cursor, frame, parseFrames } from '../protocol/protocol.ts'
import type { Segment } from './event-log.ts'

/** The part of a segment after a cursor. A frame begins with its seq, and no JSON text holds a raw line break. */
export function after(segment: Segment, cursor: Cursor): Segment {
  if (cursor < segment.first) return segment
  const at = segment.text.indexOf(`\n\nid: ${cursor + 1}\n`)
  return { first: cursor + 1, last: segment.last, text: segment.text.slice(at + 2) }
}

/** The part of a segment up to a seq. */
export function upTo(segment: Segment, last: Cursor): Segment {
  if (last >= segment.last) return segment
  const at = segment.text.indexOf(`\n\nid: ${last + 1}\n`)
  return { first: segment.first, last, text: segment.text.slice(0, at + 2) }
}

/** The frames of some types, joined. Looks for the type where `encode` puts it: at the beginning of the JSON. */
export function onlyTypes(text: string, types: ReadonlySet<string>): string {
  const heads = [...types].map((type) => `{"type":${JSON.stringify(type)}`)
  let kept = ''
  for (const { seq, json } of parseFrames(text)) {
    if (heads.some((head) => json.startsWith(head))) kept += frame(seq, json)
  }
  return kept
}
