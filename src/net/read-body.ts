import type { IncomingMessage } from 'node:http'
import { pipeline, type Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'

export interface Body {
  readonly bytes: Buffer
  /** Whether there was more than was asked for. */
  readonly cut: boolean
}

/** Reads at most `maxBytes`, decompressed, and leaves the connection closed. */
export async function readBody(message: IncomingMessage, maxBytes: number): Promise<Body> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of decoded(message) as AsyncIterable<Buffer>) {
      chunks.push(chunk.subarray(0, maxBytes - size))
      size += chunk.length
      if (size > maxBytes) break
    }
  } finally {
    message.destroy()
  }
  return { bytes: Buffer.concat(chunks), cut: size > maxBytes }
}

/** Nobody asks for compression here, yet some servers answer with nothing else. */
function decoded(message: IncomingMessage): Readable {
  const decoder = decoderFor(message.headers['content-encoding'])
  if (decoder === undefined) return message
  // The reader learns of failures from the last stream.
  pipeline(message, decoder, () => {})
  return decoder
}

function decoderFor(encoding: string | undefined) {
  switch (encoding?.toLowerCase()) {
    case 'gzip':
    case 'x-gzip':
      return createGunzip()
    case 'deflate':
      return createInflate()
    case 'br':
      return createBrotliDecompress()
    default:
      return undefined
  }
}
