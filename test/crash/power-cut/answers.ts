import { type Frame, parseFrame } from '../frames.ts'
import type { Call } from './trace.ts'

/** A frame, and the call with which its first byte left the process. */
export interface ToldFrame extends Frame {
  readonly at: number
}

/** What a process said to a client in answer to one request. */
export interface ToldAnswer {
  /** The `X-Request-Id` that the client chose. */
  readonly id: string
  readonly status: number
  /** The call with which its first byte left the process. */
  readonly at: number
  readonly text: string
  /** The frames that were told whole, when it is a stream. */
  readonly frames: readonly ToldFrame[]
}

/** Everything that was said over sockets, by the ids of the requests. */
export function answersIn(calls: readonly Call[]): ReadonlyMap<string, ToldAnswer> {
  const connections = new Map<string, Speech>()
  calls.forEach(({ name, targets: [target = ''], data }, at) => {
    if (!target.startsWith('socket:') || name === 'nothing') return
    const speech = connections.get(target) ?? new Speech()
    connections.set(target, speech)
    speech.add(data, at)
  })
  const answers = [...connections.values()].flatMap((speech) => answersOf(speech))
  return new Map(answers.map((answer) => [answer.id, answer]))
}

/** All that went over one connection, and when. One character is one byte. */
class Speech {
  #pieces: string[] = []
  readonly #ends: { readonly end: number; readonly at: number }[] = []
  #length = 0

  add(data: Buffer, at: number): void {
    this.#pieces.push(data.toString('latin1'))
    this.#length += data.length
    this.#ends.push({ end: this.#length, at })
  }

  get text(): string {
    this.#pieces = [this.#pieces.join('')]
    return this.#pieces[0] ?? ''
  }

  /** The call that said the byte with that number. */
  at(place: number): number {
    let [low, high] = [0, this.#ends.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#ends[middle]?.end ?? 0) > place) high = middle
      else low = middle + 1
    }
    return this.#ends[low]?.at ?? 0
  }
}

interface Piece {
  /** Where the piece stands in the speech. */
  readonly from: number
  readonly text: string
}

function answersOf(speech: Speech): readonly ToldAnswer[] {
  const { text } = speech
  const answers: ToldAnswer[] = []
  for (let from = 0; text.startsWith('HTTP/1.1 ', from); ) {
    const head = text.indexOf('\r\n\r\n', from)
    if (head === -1) break
    const lines = text.slice(from, head).toLowerCase()
    const { pieces, end } = bodyOf(text, head + 4, lines)
    const id = /\r\nx-request-id: ([^\r]*)/i.exec(text.slice(from, head))?.[1] ?? ''
    const body = pieces.map((piece) => piece.text).join('')
    const frames = lines.includes('text/event-stream') ? framesIn(body, pieces, speech) : []
    const status = Number(text.slice(from + 9, from + 12))
    answers.push({
      id,
      status,
      at: speech.at(from),
      text: frames.length > 0 ? '' : Buffer.from(body, 'latin1').toString(),
      frames,
    })
    from = end
  }
  return answers
}

function bodyOf(text: string, from: number, head: string): { readonly pieces: readonly Piece[]; readonly end: number } {
  if (!head.includes('\r\ntransfer-encoding: chunked')) {
    const end = from + Number(/\r\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0)
    return { pieces: [{ from, text: text.slice(from, end) }], end }
  }
  const pieces: Piece[] = []
  for (let at = from; ; ) {
    const line = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, line), 16)
    if (line === -1 || !(size > 0)) return { pieces, end: line === -1 ? text.length : line + 4 }
    pieces.push({ from: line + 2, text: text.slice(line + 2, line + 2 + size) })
    at = line + 2 + size + 2
  }
}

function framesIn(body: string, pieces: readonly Piece[], speech: Speech): readonly ToldFrame[] {
  const frames: ToldFrame[] = []
  let piece = 0
  let before = 0
  for (let from = 0, end = body.indexOf('\n\n'); end !== -1; from = end + 2, end = body.indexOf('\n\n', from)) {
    for (
      let length = pieces[piece]?.text.length ?? 0;
      from >= before + length;
      length = pieces[piece]?.text.length ?? 0
    ) {
      before += length
      piece += 1
    }
    const frame = parseFrame(body.slice(from, end + 2))
    if (frame !== undefined) frames.push({ ...frame, at: speech.at((pieces[piece]?.from ?? 0) + from - before) })
  }
  return frames
}
