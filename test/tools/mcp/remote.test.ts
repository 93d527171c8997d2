import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { callContext, environment, started, toolsetOf } from './harness.ts'

interface Message {
  readonly id?: number
  readonly method: string
  readonly params?: { readonly name?: string; readonly arguments?: Readonly<Record<string, unknown>> }
}

type Handler = (message: Message, request: IncomingMessage, response: ServerResponse) => object | undefined

const tool = { name: 'go', inputSchema: { type: 'object', properties: {} } }

/** A server that answers in JSON what a call is answered with, or lets the handler answer when that is nothing. */
async function serve(onCall: Handler, onAny: Handler = () => undefined): Promise<string> {
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return void response.writeHead(405).end()
    const message: Message = JSON.parse(await text(request))
    if (onAny(message, request, response)) return
    if (message.id === undefined) return void response.writeHead(202).end()
    const result = message.method === 'tools/call' ? onCall(message, request, response) : introduction(message)
    if (result) answer(response, message, result)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  return address === null || typeof address === 'string' ? '' : `http://127.0.0.1:${address.port}/mcp`
}

function answer(response: ServerResponse, { id }: Message, result: object): void {
  const error = 'error' in result ? result : { result }
  response.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's1' })
  response.end(JSON.stringify({ jsonrpc: '2.0', id, ...error }))
}

function introduction({ method }: Message): object {
  if (method === 'tools/list') return { tools: [tool] }
  if (method !== 'initialize') return { error: { code: -32601, message: 'Method not found' } }
  const serverInfo = { name: 'here', version: '1' }
  return { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo }
}

const said = (text: string) => ({ content: [{ type: 'text', text }] })

test('sends the configured headers, and those of the API request with each call', async () => {
  const seen: (string | undefined)[] = []
  const url = await serve(
    (_, { headers }) => said(`${headers['x-user']} ${headers.authorization}`),
    ({ method }, { headers }) => {
      if (method === 'initialize') seen.push(String(headers['x-user']), headers.authorization)
      return undefined
    },
  )
  const headers = { 'X-User': 'user ${headers.X-Who}', Authorization: 'Bearer ${env.KEY}' }
  const toolset = await started({ remote: { url, headers } }, environment({ KEY: 'k1' }))
  expect(seen).toEqual(['undefined', 'Bearer k1'])
  const users = ['ada', 'bob'].map((who) => toolset.call('go', {}, callContext({ headers: { 'x-who': who } })))
  expect(await Promise.all(users)).toEqual([{ output: 'user ada Bearer k1' }, { output: 'user bob Bearer k1' }])
})

test('begins a new session when the server forgot the old one', async () => {
  let forgotten = false
  const url = await serve(
    () => said('welcome'),
    ({ method }, _, response) => {
      if (method === 'initialize') forgotten = false
      else if (forgotten) return response.writeHead(404).end()
      return undefined
    },
  )
  const toolset = await started({ name: 'far', remote: { url }, lifecycle: { backoff: { initial: '1ms' } } })
  forgotten = true
  const lost = await toolset.call('go', {}, callContext())
  expect(lost).toEqual({ isError: true, output: 'The MCP server far forgot the session.' })
  expect(await toolset.call('go', {}, callContext())).toEqual({ output: 'welcome' })
})

test('T4 gives up an answer that does not end', async () => {
  const url = await serve((_, __, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const pour = () => {
      while (!response.destroyed && response.write(' '.repeat(1024 * 1024)));
      if (!response.destroyed) response.once('drain', pour)
    }
    pour()
    return undefined
  })
  const toolset = await started({ name: 'far', remote: { url } })
  const result = await toolset.call('go', {}, callContext())
  expect(result).toEqual({ isError: true, output: 'The MCP server far sent a message that is too long.' })
})

test('T4 fails a call whose stream ends without an answer', async () => {
  const url = await serve((_, __, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': nothing to say\n\n')
    return undefined
  })
  const toolset = await started({ remote: { url } })
  expect(await toolset.call('go', {}, callContext())).toMatchObject({
    isError: true,
    output: expect.stringContaining('the connection ended before the answer came'),
  })
})

test.each([
  [401, 'refuses access with status 401'],
  [500, 'answered with status 500'],
])('fails to start where the answer is %i', async (status, reason) => {
  const refuse: Handler = (_, __, response) => response.writeHead(status).end('secret words')
  const toolset = toolsetOf({ name: 'far', remote: { url: await serve(refuse, refuse) } })
  await expect(toolset.start(new AbortController().signal)).rejects.toThrow(`the MCP server far ${reason}`)
})

test('T3 breaks the request of a call off that its run gives up', async () => {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const cancelled: Message[] = []
  const url = await serve(
    (_, __, response) => {
      response.once('close', close)
      arrive()
      return undefined
    },
    (message) => {
      if (message.method === 'notifications/cancelled') cancelled.push(message)
      return undefined
    },
  )
  const toolset = await started({ remote: { url } })
  const stop = new AbortController()
  const call = toolset.call('go', {}, callContext({ signal: stop.signal }))
  await arrived
  stop.abort(new Error('enough'))
  await expect(call).rejects.toThrow('enough')
  await closed
  await toolset.close()
  expect(cancelled).toHaveLength(1)
})
