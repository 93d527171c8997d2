import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'
import { bodyOf, type HttpServer, httpServer } from './http-server.ts'

export const recordings = new URL('../../../shared/data/recordings/', import.meta.url)

const Cassette = z.object({
  interactions: z.array(
    z.object({
      request: z.object({ url: z.url(), body: z.string() }),
      response: z.object({ body: z.string(), code: z.number() }),
    }),
  ),
})

export type Interaction = {
  readonly path: string
  readonly sent: unknown
  readonly body: string
  readonly status: number
}

/** The interactions of one cassette, in the order in which they were recorded. */
export function cassette(name: string): readonly Interaction[] {
  const file = Cassette.parse(parse(readFileSync(new URL(name, recordings), 'utf8')))
  return file.interactions.map(({ request, response }) => ({
    path: new URL(request.url).pathname,
    sent: JSON.parse(request.body),
    body: response.body,
    status: response.code,
  }))
}

export type ReplayServer = HttpServer & {
  /** The bodies that were received, parsed. */
  readonly received: readonly unknown[]
}

/** Answers each request at a recorded path with the next body that was recorded there; anything else is 404. */
export async function replayServer(interactions: readonly Interaction[]): Promise<ReplayServer> {
  const left = [...interactions]
  const received: unknown[] = []
  const server = await httpServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://localhost').pathname
    const place = left.findIndex((one) => one.path === path)
    const [next] = place < 0 ? [] : left.splice(place, 1)
    received.push(await bodyOf(request))
    response.writeHead(next?.status ?? 404, { 'content-type': 'text/event-stream' }).end(next?.body)
  })
  return { ...server, received }
}
