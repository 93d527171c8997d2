/** An event as it came over the wire: `bytes` has one character for each byte, from `id:` to the blank line. */
export interface Frame {
  readonly seq: number
  readonly bytes: string
}

/** The stream broke a rule that no crash excuses. */
export class BadStream extends Error {}

/**
 * Takes a stream apart, with a parser of our own. Returns the bytes of a frame that was cut off; a connection that breaks
 * ends the frames like any other end.
 */
export async function* framesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<Frame, string, void> {
  let rest = ''
  try {
    for await (const chunk of body) {
      rest += Buffer.from(chunk).toString('latin1')
      let end = rest.indexOf('\n\n')
      for (; end !== -1; end = rest.indexOf('\n\n')) {
        const frame = parseFrame(rest.slice(0, end + 2))
        rest = rest.slice(end + 2)
        if (frame !== undefined) yield frame
      }
    }
  } catch (error) {
    if (error instanceof BadStream) throw error
  }
  return rest
}

/** What an event says. */
export function eventOf(frame: Frame): Record<string, unknown> {
  const data = frame.bytes.slice(frame.bytes.indexOf('\ndata: ') + '\ndata: '.length)
  return JSON.parse(Buffer.from(data, 'latin1').toString())
}

/** `undefined` for a comment. Throws {@link BadStream}. */
export function parseFrame(bytes: string): Frame | undefined {
  if (bytes.startsWith(':') || bytes.startsWith('retry:')) return undefined
  const id = /^id: ([1-9]\d*)\ndata: \{.*\}\n\n$/.exec(bytes)?.[1]
  // A gap has no id, and no cursor of ours may ever meet one.
  if (id === undefined) throw new BadStream(`not an event with an id: ${bytes}`)
  return { seq: Number(id), bytes }
}
