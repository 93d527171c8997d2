/** An MCP server that misbehaves on demand, over stdio. Started with the oddities of its beginning as arguments. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

interface Message {
  readonly id?: number | string
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: unknown
  readonly error?: { readonly code: number }
}

type Answer = (id: Message['id'], result: object) => void

const oddities = new Set(process.argv.slice(2))
const modern = oddities.has('modern')
const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
const cancelled: unknown[] = []
let tools = [
  'pids',
  'crash',
  'leave',
  'hang',
  'freeze',
  'garbage',
  'big',
  'change',
  'noise',
  'cancelled',
  'ask',
  'nonsense',
  'sounds',
  'begs',
]

if (oddities.has('dies')) {
  process.stderr.write('warming up\nthe secret s3cret-value is wrong\n')
  child.kill()
  process.exit(3)
}
if (oddities.has('stubborn')) process.on('SIGTERM', () => {})
else process.stdin.on('end', () => process.exit(0))

createInterface({ input: process.stdin }).on('line', (line) => read(JSON.parse(line)))

function send(message: object): void {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}

const answer: Answer = (id, result) => {
  send({ id, result: modern ? { resultType: 'complete', ttlMs: 0, cacheScope: 'private', ...result } : result })
}

/** Calls that wait for an answer of ours, by the id of what was asked. */
const begging = new Map<unknown, Message['id']>()

function read({ id, method, params = {}, error }: Message): void {
  if (error && begging.has(id)) answer(begging.get(id), text(`code ${error.code}`))
  if (oddities.has('mute')) return
  if (oddities.has('strict') && method === 'server/discover') process.exit(1)
  if (method === 'server/discover' && modern) {
    answer(id, { supportedVersions: ['2026-07-28'], capabilities: { tools: { listChanged: true } } })
  } else if (method === 'initialize' && !modern) {
    const serverInfo = { name: 'odd', version: '1' }
    answer(id, { protocolVersion: '2025-06-18', capabilities: { tools: { listChanged: true } }, serverInfo })
  } else if (method === 'subscriptions/listen') {
    const meta = { 'io.modelcontextprotocol/subscriptionId': id }
    send({
      method: 'notifications/subscriptions/acknowledged',
      params: { _meta: meta, notifications: { toolsListChanged: true } },
    })
  } else if (method === 'tools/list') answer(id, { tools: tools.map(describe) })
  else if (method === 'tools/call') call(id, params)
  else if (method === 'notifications/cancelled') cancelled.push(params.requestId)
  else if (id !== undefined && method !== undefined) send({ id, error: { code: -32601, message: 'Method not found' } })
}

const sound = { type: 'audio', data: 'UklGRg==', mimeType: 'audio/wav' }
const link = { type: 'resource_link', name: 'score', uri: 'x://score', mimeType: 'text/plain' }

function describe(name: string): object {
  return { name, description: `Does ${name}.`, inputSchema: { type: 'object', properties: {} } }
}

function text(value: string): object {
  return { content: [{ type: 'text', text: value }] }
}

function call(id: Message['id'], params: Readonly<Record<string, unknown>>): void {
  const { name } = params
  if (name === 'pids') answer(id, text(JSON.stringify([process.pid, child.pid])))
  else if (name === 'crash') process.kill(process.pid, 'SIGKILL')
  else if (name === 'leave') process.exit(0)
  else if (name === 'freeze') for (;;);
  else if (name === 'garbage') flood()
  else if (name === 'big') answer(id, text('x'.repeat(10 * 1024 * 1024)))
  else if (name === 'change') {
    tools = [...tools, 'new']
    send({
      method: 'notifications/tools/list_changed',
      params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 'listen:0' } },
    })
    answer(id, text('changed'))
  } else if (name === 'noise') {
    process.stdout.write('Server is running\n\n{"not": "a message"}\n')
    answer(id, text('still here'))
  } else if (name === 'cancelled') answer(id, text(JSON.stringify(cancelled)))
  else if (name === 'nonsense') answer(id, { content: 'this is no content' })
  else if (name === 'begs') beg(id, params)
  else if (name === 'sounds') answer(id, { content: [sound, link] })
  else if (name === 'ask') ask(id, params)
}

/** Wants what the client has not said that it can do, and tells about it. */
function beg(id: Message['id'], { arguments: args }: Readonly<Record<string, unknown>>): void {
  begging.set('beg', id)
  send({ method: 'notifications/message', params: { level: 'error', data: 'I beg you' } })
  const wanted = args instanceof Object && 'method' in args ? args.method : undefined
  const messages = [{ role: 'user', content: { type: 'text', text: 'Think for me' } }]
  send({ id: 'beg', method: wanted, params: { messages, maxTokens: 10 } })
}

/** In the newer era a question is part of an answer, and the call is made again with what was said. */
function ask(id: Message['id'], { inputResponses, arguments: args }: Readonly<Record<string, unknown>>): void {
  const requestedSchema = { type: 'object', properties: { colour: { type: 'string' } } }
  const question = { method: 'elicitation/create', params: { message: JSON.stringify(args), requestedSchema } }
  if (inputResponses) answer(id, text(JSON.stringify({ inputResponses, args })))
  else send({ id, result: { resultType: 'input_required', inputRequests: { first: question } } })
}

function flood(): void {
  while (process.stdout.write('what is this? '.repeat(1000)));
  process.stdout.once('drain', flood)
}
