import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LLMock } from '@copilotkit/aimock'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type AgentSources, createAgentSources, parseAgentFile } from '../../src/agent-file/agent-file.ts'
import { createModels } from '../../src/models/models.ts'
import { AgentSummary, type ErrorDetail, Problem } from '../../src/protocol/protocol.ts'
import { createAgents } from '../../src/runtime/agents.ts'
import { type Api, wrongInRequest } from '../models/request-schema.ts'
import { makeTempDir, tempDir } from '../store/temp-dir.ts'
import { createSession } from './house.ts'
import { type ManagedServer, managedServer } from './managed-server.ts'
import { type NoWayOut, noWayOut } from './no-way-out.ts'

const repository = join(import.meta.dirname, '..', '..')
const directory = join(repository, '..', 'shared', 'data', 'agents')
const there = existsSync(directory)
const files = there ? readdirSync(directory).filter((name) => name.endsWith('.yaml')) : []
const note = there ? `${files.length} files` : 'skipped: ../shared/data/agents is not there'

/** Every agent of every file. */
const agents = files.flatMap((name) => {
  const { agents } = parseAgentFile(read(join(directory, name)), { origin: name, baseDir: directory })
  return agents.map((agent) => [name.replace('.yaml', ''), agent.Name] as const)
})

/** What the README says of what is not supported. */
const [, list = ''] = /\*\*What does not run yet\.\*\*(.*?)\n## /s.exec(read(join(repository, 'README.md'))) ?? []

function read(path: string): string {
  return readFileSync(path, 'utf8')
}

/** Which API a request speaks, and where it is on a server that speaks them all. */
function placeOf(url: URL): { readonly api: Api; readonly path: string } {
  const path = /\/v1(beta)?\/.*$/.exec(url.pathname)?.[0] ?? url.pathname
  if (path.endsWith('/responses')) return { api: 'openai-responses', path }
  if (path.endsWith('/messages')) return { api: 'anthropic', path }
  if (path.startsWith('/v1beta/models/')) return { api: 'google', path }
  return { api: url.hostname.endsWith('mistral.ai') ? 'mistral' : 'openai-chat', path }
}

const Event = z.looseObject({ type: z.string() })
type Events = readonly z.infer<typeof Event>[]

async function eventsOf(response: Response): Promise<Events> {
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data:'))
  return lines.map((line) => Event.parse(JSON.parse(line.slice(5))))
}

const text = 'Hello there.'

/** One turn of an agent, or the reason why there is none. */
async function turn({ client }: ManagedServer, source: string, name: string): Promise<Problem | Events> {
  const id = await createSession(client, { title: 'A title', safety_policy: 'strict', working_dir: tempDir() })
  const response = await fetch(`${client.url}/api/sessions/${id}/agent/${source}/${name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Hi' }] }),
  })
  return response.ok ? await eventsOf(response) : Problem.parse(await response.json())
}

/** What stands in the list as code, word by word. */
const listed = new Set(list.match(/`[^`]+`/g)?.flatMap((code) => code.match(/[\w-]{3,}/g) ?? []))

/** Whether the list tells of what is refused: the type of a toolset, the key at the path, or what the message names. */
function isListed({ path, message }: ErrorDetail): boolean {
  const [, type] = /of type (\S+)/.exec(message) ?? []
  if (type !== undefined) return listed.has(type) || list.includes('toolsets of any other type')
  const [, key = ''] = /(\w*)(\[\d+\])*$/.exec(path) ?? []
  if (!['', 'model'].includes(key)) return listed.has(key) || new RegExp(`\\b${key}\\b`, 'i').test(list)
  return message.split(/[^\w-]+/).some((word) => listed.has(word.toLowerCase()))
}

describe.skipIf(!there)(`Agent files that people have written (${note})`, () => {
  const mock = new LLMock({ port: 0, logLevel: 'silent' })
  const asked: { readonly api: Api; readonly body: unknown }[] = []
  let home: ReturnType<typeof makeTempDir>
  let inside: NoWayOut
  let sources: AgentSources
  let server: ManagedServer

  /** Every address of a provider leads to the server of the test. */
  const routed: typeof fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    const { api, path } = placeOf(url)
    asked.push({ api, body: JSON.parse(String(init?.body)) })
    return await fetch(mock.url + path + url.search, init)
  }

  beforeAll(async () => {
    home = makeTempDir()
    inside = noWayOut()
    await mock.start()
    mock.on({}, { content: text })
    const named = files.flatMap(
      (name) => read(join(directory, name)).match(/\b[A-Z][A-Z_]*(KEY|TOKEN|VAR_NAME)\b/g) ?? [],
    )
    const keys = ['OPENAI_API_KEY', 'ANTHROPIC_API_KEY', 'GOOGLE_API_KEY', 'NEBIUS_API_KEY', ...named]
    // No program is found: neither docker nor npx may fetch anything.
    const variables = { ...Object.fromEntries(keys.map((key) => [key, 'k'])), PATH: home.path, HOME: home.path }
    sources = await createAgentSources({ source: directory, env: variables })
    const models = createModels({ env: variables, fetch: routed })
    server = await managedServer(createAgents({ sources, models, variables, dataDir: join(home.path, 'data') }))
  })

  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    await sources.close()
    await mock.stop()
    inside[Symbol.dispose]()
    home.remove()
  })

  test('are all served, without an error', async () => {
    const { body } = await server.client.call('listAgents')
    const served = z.array(AgentSummary).parse(body)
    expect(served).toHaveLength(files.length)
    for (const summary of served) expect(summary).not.toHaveProperty('error')
  })

  const outcomes = new Map<string, 'runs' | 'refused'>()

  test.each(agents)('run a turn, or say what they lack that the README lists: %s, agent %s', async (source, name) => {
    const before = asked.length
    const told = await turn(server, source, name)
    if ('code' in told) {
      const { code, message, details = [{ path: '', message }] } = told
      expect(['agent_not_supported', 'invalid_model']).toContain(code)
      expect(details).not.toEqual([])
      expect(details.filter((detail) => !isListed(detail))).toEqual([])
      expect(asked).toHaveLength(before)
      outcomes.set(`${source} ${name}`, 'refused')
      return
    }
    expect(told.at(-1)).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
    expect(told.flatMap((event) => (event.type === 'agent_choice' ? [event.content] : [])).join('')).toBe(text)
    const bodies = asked.slice(before)
    expect(bodies).not.toEqual([])
    for (const { api, body } of bodies) expect(wrongInRequest(api, body)).toEqual([])
    // Servers of others are not there. Whatever else is missing is something that is not supported, and is listed.
    const warnings = told.flatMap((event) => (event.type === 'warning' ? [String(event.message)] : []))
    const left = warnings.filter((warning) => !/^The toolset \S+ cannot be started: /.test(warning))
    expect(left.filter((message) => !isListed({ path: '', message }))).toEqual([])
    outcomes.set(`${source} ${name}`, 'runs')
  })

  test('are accounted for, every agent of them, and none has reached a server of others', () => {
    expect([...outcomes.keys()]).toEqual(agents.map((agent) => agent.join(' ')))
    expect([...outcomes.values()]).toContain('runs')
    expect(inside.refused).toContain('gitmcp.io')
  })

  test.each([
    { path: 'agents.root.telepathy', message: 'Telepathy is not supported yet.' },
    { path: 'agents.root.model', message: 'The provider telepathy is not supported yet.' },
    { path: '', message: 'Telepathy is not supported yet.' },
  ])('would not be let through with something that the README does not list: %o', (detail) => {
    expect(isListed(detail)).toBe(false)
  })
})
