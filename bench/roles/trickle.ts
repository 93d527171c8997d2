/**
 * A provider of models that speaks OpenAI's chat completions: every answer trickles, one token at a time, until the bench
 * says `finish`. Each answer has its own beat, so that tokens arrive alone and not in bursts.
 */
import { createServer, type ServerResponse } from 'node:http'
import { answer } from '../meter.ts'
import { listen } from './listen.ts'

/** Milliseconds between two tokens of an answer. */
const beat = Number(process.argv[2])
/** Answers that are to come; their beats are spread over the time between two tokens. */
const answers = Number(process.argv[3])

let begun = 0
let sent = 0
let finishing = false
const open = new Set<ServerResponse>()
let finished = Promise.withResolvers<void>()

answer({
  /** Tokens that were sent so far. */
  tokens: () => sent,
  /** Ends all answers; answers with the tokens that were sent since the last time. */
  finish: async () => {
    finishing = true
    if (open.size > 0) await finished.promise
    const all = sent
    finishing = false
    finished = Promise.withResolvers()
    sent = 0
    return all
  },
})

listen(
  createServer((request, response) => {
    request.resume()
    request.once('end', () => trickle(response))
  }),
)

function trickle(response: ServerResponse): void {
  const place = begun++ % answers
  open.add(response)
  response.writeHead(200, { 'Content-Type': 'text/event-stream' })
  response.write(chunk({ role: 'assistant', content: '' }, null))
  const delay = (place * beat) / answers
  let timer = setTimeout(() => {
    timer = setInterval(() => next(response), beat)
  }, delay)
  response.once('close', () => {
    clearInterval(timer)
    open.delete(response)
    if (finishing && open.size === 0) finished.resolve()
  })
}

function next(response: ServerResponse): void {
  if (finishing) {
    response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`)
    return
  }
  sent += 1
  response.write(chunk({ content: ` w${sent % 1000}` }, null))
}

function chunk(delta: object, finish_reason: string | null): string {
  const choices = [{ index: 0, delta, finish_reason }]
  const head = { id: 'chatcmpl-0123456789', object: 'chat.completion.chunk', created: 1_760_000_000, model: 'trickle' }
  return `data: ${JSON.stringify({ ...head, choices })}\n\n`
}
