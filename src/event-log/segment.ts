import { type Cursor, frame, parseFrames } from '../protocol/protocol.ts'
import type { Segment } from './event-log.ts'

/** The part of a segment after a cursor. */
export function after(segment: Segment, cursor: Cursor): Segment {
  if (cursor < segment.first) return segment
  return { first: cursor + 1, last: segment.last, text: segment.text.slice(endOf(segment.text, cursor)) }
}

/** The part of a segment up to a seq. */
export function upTo(segment: Segment, last: Cursor): Segment {
  if (last >= segment.last) return segment
  return { first: segment.first, last, text: segment.text.slice(0, endOf(segment.text, last)) }
}

/**
 * Where the frames up to a seq end. A frame begins with its seq, and no JSON text holds a raw line break. Frames are
 * looked at one by one only where the next one is missing, because retention has thinned the segment out.
 */
function endOf(text: string, seq: Cursor): number {
  const next = text.indexOf(`\n\nid: ${seq + 1}\n`)
  if (next !== -1) return next + 2
  let at = 0
  while (at < text.length) {
    const idEnd = text.indexOf('\n', at)
    if (Number(text.slice(at + 'id: '.length, idEnd)) > seq) return at
    at = text.indexOf('\n\n', idEnd) + 2
  }
  return at
}

/** The frames of some types, joined. Looks for the type where `encode` puts it: at the beginning of the JSON. */
export function onlyTypes(text: string, types: ReadonlySet<string>): string {
  const heads = [...types].map((type) => `{"type":${JSON.stringify(type)}`)
  return onlyWhere(text, (json) => heads.some((head) => json.startsWith(head)))
}

/** The frames whose JSON is accepted, joined. */
export function onlyWhere(text: string, accepts: (json: string) => boolean): string {
  let kept = ''
  for (const { seq, json } of parseFrames(text)) {
    if (accepts(json)) kept += frame(seq, json)
  }
  return kept
}
