import { deltaTypes, frame, parseFrames } from '../protocol/protocol.ts'

/** How events of these types begin: their type comes first. */
const heads = deltaTypes.map((type) => `{"type":${JSON.stringify(type)}`)

/** The frames of a segment without those that are pieces of what others tell whole; the same text when it has none. */
export function thinned(text: string): string {
  if (!heads.some((head) => text.includes(head))) return text
  let kept = ''
  for (const { seq, json } of parseFrames(text)) {
    if (!heads.some((head) => json.startsWith(head))) kept += frame(seq, json)
  }
  return kept
}
