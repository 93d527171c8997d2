import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'

export interface Message {
  readonly id?: number
  readonly method: string
  readonly params?: { readonly name?: string; readonly arguments?: Readonly<Record<string, unknown>> }
}

export type Handler = (message: Message, request: IncomingMessage, response: ServerResponse) => object | undefined

const tool = { name: 'go', inputSchema: { type: 'object', properties: {} } }

/** A server that answers in JSON what a call is answered with, or lets the handler answer when that is nothing. */
export async function serve(onCall: Handler, onAny: Handler = () => undefined): Promise<string> {
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

export const said = (text: string) => ({ content: [{ type: 'text', text }] })
