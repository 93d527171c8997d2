import { type HttpServer, httpServer } from './http-server.ts'

export type Passed = { readonly path: string; readonly body: unknown }

export type RecordingProxy = HttpServer & {
  /** What went through, as it was on the wire: test servers keep requests in a form of their own. */
  readonly passed: readonly Passed[]
}

/** Hands every request on to another server and remembers its body. */
export async function recordingProxy(upstream: string): Promise<RecordingProxy> {
  const passed: Passed[] = []
  const server = await httpServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    const path = request.url ?? '/'
    passed.push({ path, body: JSON.parse(body) })
    const answer = await fetch(upstream + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' })
    for await (const piece of answer.body ?? []) response.write(piece)
    response.end()
  })
  return { ...server, passed }
}
