/** The least that replay can cost: frames in an array, joined in pages and written as the reader takes them. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { z } from 'zod'
import { answer } from '../meter.ts'
import { listen } from './listen.ts'

const page = 256

let frames: readonly string[] = []

answer({
  /** What to replay from now on. */
  fill: (about) => {
    frames = z.array(z.string()).parse(about)
  },
})

listen(
  createServer(async (_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    for (let at = 0; at < frames.length; at += page) {
      const isTaken = response.write(Buffer.from(frames.slice(at, at + page).join('')))
      if (!isTaken) await once(response, 'drain')
    }
    response.end()
  }),
)
