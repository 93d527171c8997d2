/** An MCP server over stdio with two tools that append their token to a file: `stamp`, and `count`, which may be repeated. */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

interface Message {
  readonly id?: number | string
  readonly method?: string
  readonly params?: { readonly name?: string; readonly arguments?: { readonly token?: string } }
}

const [, , file = ''] = process.argv
const inputSchema = { type: 'object', properties: { token: { type: 'string' } }, required: ['token'] }
const tools = [
  { name: 'stamp', description: 'Stamps.', inputSchema },
  { name: 'count', description: 'Counts.', inputSchema, annotations: { idempotentHint: true } },
]
const answers: Readonly<Record<string, (params: Message['params']) => object>> = {
  initialize: () => ({
    protocolVersion: '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'stamps', version: '1' },
  }),
  'tools/list': () => ({ tools }),
  'tools/call': (params) => {
    const token = params?.arguments?.token ?? ''
    appendFileSync(file, `${token}\n`)
    return { content: [{ type: 'text', text: `${params?.name} ${token}` }] }
  },
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method = '', params }: Message = JSON.parse(line)
  if (id === undefined) return
  const answer = answers[method]
  const result =
    answer === undefined ? { error: { code: -32601, message: 'Method not found' } } : { result: answer(params) }
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...result })}\n`)
})
