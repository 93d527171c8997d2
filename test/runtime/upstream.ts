import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { z } from 'zod'

const Body = z.looseObject({ messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })) })
type Body = z.infer<typeof Body>

export type Answer = (response: ServerResponse) => void

/** A server that speaks chat completions: one answer for each call, the last one for all that follow. */
export interface Upstream extends AsyncDisposable {
  readonly url: string
  /** The bodies of the calls so far. */
  readonly calls: readonly Body[]
  /** Resolves when a client left before its answer was whole. */
  readonly left: Promise<void>
}

export async function startUpstream(...answers: readonly Answer[]): Promise<Upstream> {
  const calls: Body[] = []
  const left = Promise.withResolvers<void>()
  const server = createServer(async (request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) left.resolve()
    })
    const answer = answers[Math.min(calls.push(Body.parse(await body(request))), answers.length) - 1]
    answer?.(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = z.object({ port: z.number() }).parse(server.address())
  return {
    url: `http://127.0.0.1:${address.port}/v1`,
    calls,
    left: left.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function body(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request.setEncoding('utf8')) text += chunk
  return JSON.parse(text)
}

/** A whole answer, in one delta per text. */
export function says(...texts: readonly string[]): Answer {
  return reports(7, 3, ...texts)
}

/** The same, of which the server says how many tokens it read and wrote. */
export function reports(prompt_tokens: number, completion_tokens: number, ...texts: readonly string[]): Answer {
  return (response) => {
    begin(response, texts)
    response.write(chunk({}, 'stop'))
    response.write(usage(prompt_tokens, completion_tokens))
    response.end('data: [DONE]\n\n')
  }
}

/** An answer that wants tools called: the name and the arguments of each call. */
export function wants(...calls: readonly (readonly [string, object])[]): Answer {
  return (response) => {
    begin(response, [])
    callTools(response, calls)
    response.end('data: [DONE]\n\n')
  }
}

/** The same, of which the server says how many tokens it read and wrote. */
export function reportsCalls(
  prompt_tokens: number,
  completion_tokens: number,
  ...calls: readonly (readonly [string, object])[]
): Answer {
  return (response) => {
    begin(response, [])
    callTools(response, calls)
    response.write(usage(prompt_tokens, completion_tokens))
    response.end('data: [DONE]\n\n')
  }
}

function callTools(response: ServerResponse, calls: readonly (readonly [string, object])[]): void {
  for (const [index, [name, args]] of calls.entries()) {
    const call = { id: `call_${index + 1}`, type: 'function', function: { name, arguments: JSON.stringify(args) } }
    response.write(chunk({ tool_calls: [{ index, ...call }] }))
  }
  response.write(chunk({}, 'tool_calls'))
}

function usage(prompt_tokens: number, completion_tokens: number): string {
  return `data: ${JSON.stringify({ ...frame, choices: [], usage: { prompt_tokens, completion_tokens } })}\n\n`
}

/** An answer that comes as soon as a test allows it. */
export function waits(gate: Promise<unknown>, then: Answer): Answer {
  return (response) => void gate.then(() => then(response))
}

/** An answer that begins, and then nothing comes any more. */
export function hangs(...texts: readonly string[]): Answer {
  return (response) => begin(response, texts)
}

/** An answer that begins, and whose connection then breaks. */
export function breaks(...texts: readonly string[]): Answer {
  return (response) => {
    begin(response, texts)
    response.write(': the last bytes\n\n', () => response.destroy())
  }
}

export function fails(status: number, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify({ error: { message: 'as the test wants it' } }))
  }
}

/** What a server says that cannot read so much. */
export function overflows(): Answer {
  return (response) => {
    response.writeHead(400, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { message: 'as the test wants it', code: 'context_length_exceeded' } }))
  }
}

const frame = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'gpt-test' }

function begin(response: ServerResponse, texts: readonly string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(chunk({ role: 'assistant', content: '' }))
  for (const content of texts) response.write(chunk({ content }))
}

function chunk(delta: object, finish: string | null = null): string {
  return `data: ${JSON.stringify({ ...frame, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`
}
