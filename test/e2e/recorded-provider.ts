import { setImmediate as giveWay } from 'node:timers/promises'
import { type HttpServer, httpServer } from '../models/http-server.ts'

/** What a provider says, as it stands on the wire. */
export interface Recorded {
  readonly turn: string
  readonly title: string
}

export type RecordedProvider = HttpServer & {
  /** Path and body of each request. */
  readonly received: readonly { readonly path: string; readonly body: string }[]
}

/** A provider that answers every turn and every title with a recorded body, a few bytes at a time. */
export async function recordedProvider({ turn, title }: Recorded): Promise<RecordedProvider> {
  const received: { path: string; body: string }[] = []
  const server = await httpServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    received.push({ path: request.url ?? '', body })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const piece of (asksForTitle(body) ? title : turn).match(/.{1,97}/gs) ?? []) {
      response.write(piece)
      await giveWay()
    }
    response.end()
  })
  return { ...server, received }
}

/** What is to be named comes as a numbered list. */
export function asksForTitle(body: string): boolean {
  return body.includes('"1. ')
}
