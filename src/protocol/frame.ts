/**
 * How an event stands on the wire: one `id:` line when it has a seq, one `data:` line, a blank line (WHATWG HTML, section
 * 9.2, server-sent events). An event is encoded once; ring, journal, replay and every reader use that text.
 */
export function frame(seq: number | undefined, json: string): string {
  return seq === undefined ? `data: ${json}\n\n` : `id: ${seq}\ndata: ${json}\n\n`
}

/** Takes the frames that {@link frame} wrote apart again. */
export function* parseFrames(text: string): Generator<{ readonly seq: number; readonly json: string }> {
  let at = 0
  while (at < text.length) {
    const idEnd = text.indexOf('\n', at)
    const dataEnd = text.indexOf('\n\n', idEnd)
    // A frame without its end is none.
    if (idEnd === -1 || dataEnd === -1) return
    yield { seq: Number(text.slice(at + 'id: '.length, idEnd)), json: text.slice(idEnd + '\ndata: '.length, dataEnd) }
    at = dataEnd + 2
  }
}
