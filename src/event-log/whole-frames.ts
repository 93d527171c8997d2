import type { Cursor } from '../protocol/protocol.ts'
import type { Segment } from './event-log.ts'

/**
 * The first stretch of events after a cursor that can be read, of a segment as it was stored. It ends before what is damaged,
 * and begins after that once the cursor has come there; then it is marked, so that nobody takes it for what follows the
 * cursor. The JSON of an event is not read: a replay would take three times as long.
 */
export function wholeFrames(segment: Segment, after: Cursor): Segment {
  let isDamaged = false
  let first = segment.first
  for (const piece of piecesOf(segment)) {
    if (piece.text === undefined) {
      isDamaged = true
      first = piece.next
      continue
    }
    const isAll = piece.text.length === segment.text.length
    if (isAll) return segment
    const stretch = { first, last: piece.last, text: piece.text }
    if (piece.last > after) return isDamaged ? { ...stretch, lacks: 'damaged' } : stretch
  }
  return { first: segment.last + 1, last: segment.last, text: '', lacks: 'damaged' }
}

/** Frames that follow one another, or what is no frame: then `next` is the seq of the event that can be read after it. */
type Piece = { readonly text: string; readonly last: Cursor } | { readonly text?: undefined; readonly next: Cursor }

/** Takes a text apart where frames are not as they must be; mostly it is one piece. */
function* piecesOf({ first, last, text }: Segment): Generator<Piece> {
  let start = 0
  let seq = first - 1
  let isBroken = false
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n\n', at)
    const own = end === -1 ? undefined : seqOf(text, at, end)
    const isWhole = own !== undefined && own >= first && own <= last
    if (isWhole && isBroken) {
      yield { next: own }
      start = at
    }
    if (!isWhole && !isBroken && at > start) yield { text: text.slice(start, at), last: seq }
    isBroken = !isWhole
    if (isWhole) seq = Math.max(seq, own)
    at = end === -1 ? text.length : end + 2
  }
  // What retention has taken out of the end is not missing.
  yield isBroken ? { next: last + 1 } : { text: text.slice(start), last }
}

/** The seq of the frame in that place; `undefined` when there is no whole frame. */
function seqOf(text: string, at: number, end: number): Cursor | undefined {
  const idEnd = text.indexOf('\n', at)
  const isFrame = text.startsWith('id: ', at) && text.startsWith('\ndata: {', idEnd) && text[end - 1] === '}'
  if (!isFrame || text.indexOf('\n', idEnd + 1) !== end) return undefined
  const seq = Number(text.slice(at + 'id: '.length, idEnd))
  return Number.isSafeInteger(seq) ? seq : undefined
}
