import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { z } from 'zod'

const Bound = z.object({ port: z.number() })

/**
 * What becomes of a request: it is passed on; twice at once; once, and its answer is lost; or its client is cut off at once, and
 * it arrives much later.
 */
export const troubles = ['none', 'twice', 'lost', 'late'] as const
export type Trouble = (typeof troubles)[number]

export interface DoublingProxy extends AsyncDisposable {
  readonly url: string
  /** How many requests met each trouble. */
  readonly met: Readonly<Record<Trouble, number>>
  /** Passes on what was held back; resolves when that was answered to nobody. */
  deliver(): Promise<void>
}

/** Stands before a server that may change its address, and troubles all requests but GETs as it is told, one by one. */
export async function doublingProxy(target: () => string, trouble: () => Trouble): Promise<DoublingProxy> {
  const met = { none: 0, twice: 0, lost: 0, late: 0 }
  let held: (() => Promise<unknown>)[] = []
  const server = createServer((incoming, response) => {
    const chosen = incoming.method === 'GET' ? 'none' : trouble()
    if (incoming.method !== 'GET') met[chosen] += 1
    treat(incoming, response, chosen).catch(() => response.destroy())
  })

  const treat = async (incoming: IncomingMessage, response: ServerResponse, chosen: Trouble): Promise<void> => {
    const body = await buffer(incoming)
    const pass = () => passedOn(target(), incoming, body)
    if (chosen === 'late') held.push(pass)
    if (chosen === 'late') response.destroy()
    else if (chosen === 'lost') {
      await pass()
      response.destroy()
    } else {
      const [, answer = await pass()] = chosen === 'twice' ? await Promise.all([pass(), pass()]) : []
      response.writeHead(answer.status, answer.headers).end(answer.body)
    }
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${Bound.parse(server.address()).port}`,
    met,
    deliver: async () => {
      const late = held
      held = []
      for (const pass of late) await pass()
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

interface WholeAnswer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: Buffer
}

/** The whole answer to a request that is passed on. */
async function passedOn(target: string, { method, url, headers }: IncomingMessage, body: Buffer): Promise<WholeAnswer> {
  const { host: _, connection: __, 'transfer-encoding': ___, ...others } = headers
  const outgoing = request(new URL(url ?? '/', target), {
    agent: false,
    headers: { ...others, 'content-length': body.length },
    ...(method === undefined ? {} : { method }),
  })
  outgoing.end(body)
  const answered = Promise.withResolvers<IncomingMessage>()
  outgoing.once('response', answered.resolve)
  outgoing.once('error', answered.reject)
  const answer = await answered.promise
  const { 'transfer-encoding': ____, connection: _____, ...own } = answer.headers
  return { status: answer.statusCode ?? 500, headers: own, body: await buffer(answer) }
}
