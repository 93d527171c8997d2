/** Bare `node:http`: answers every GET with the same text, and keeps what is posted in a map. */
import { createServer } from 'node:http'
import { z } from 'zod'
import { answer } from '../meter.ts'
import { listen } from './listen.ts'

let text = '{"status":"ok"}'
const kept = new Map<string, object>()

answer({
  /** What to answer from now on. */
  serve: (about) => {
    text = z.string().parse(about)
  },
})

listen(
  createServer((request, response) => {
    response.setHeader('Content-Type', 'application/json')
    if (request.method !== 'POST') {
      response.setHeader('Content-Length', Buffer.byteLength(text))
      response.end(text)
      return
    }
    let body = ''
    request.setEncoding('utf8').on('data', (piece: string) => {
      body += piece
    })
    request.once('end', () => {
      const id = `${kept.size + 1}`
      const record = { id, created_at: new Date().toISOString(), ...JSON.parse(body) }
      kept.set(id, record)
      const json = JSON.stringify(record)
      response.setHeader('Content-Length', Buffer.byteLength(json))
      response.end(json)
    })
  }),
)
