import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type AgentSources, createAgentSources } from '../../src/agent-file/agent-file.ts'
import { patience } from '../patience.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

const agent = (description: string) => `agents:\n  root:\n    model: openai/gpt-4o\n    description: ${description}\n`
const text =
  (body: string, headers = {}): Handler =>
  (_, response) =>
    response.writeHead(200, headers).end(body)
const redirect =
  (location: string): Handler =>
  (_, response) =>
    response.writeHead(302, { location }).end()

let answer: Handler = text(agent('one'))
const seen: IncomingMessage[] = []
const server = createServer((request, response) => {
  seen.push(request)
  answer(request, response)
})
const open = new Set<AgentSources>()
let base = ''

beforeEach(async () => {
  seen.length = 0
  answer = text(agent('one'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  for (const sources of open) await sources.close()
  open.clear()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

async function create(url: string, more: { pullIntervalMinutes?: number; timeoutMs?: number } = {}) {
  const sources = await createAgentSources({ source: url, env: { GITHUB_TOKEN: 'hush' }, ...more })
  open.add(sources)
  return sources
}

function descriptionIn(sources: AgentSources): string | undefined {
  return sources.list()[0]?.description
}

describe('a URL', () => {
  it('is served under the whole URL, query-escaped', async () => {
    const url = `${base}/a b/team.yaml?tag=v1&x=(1)`
    const sources = await create(url)
    const key = sources.list()[0]?.name ?? ''
    expect(key).toBe(`http%3A%2F%2F127.0.0.1%3A${new URL(base).port}%2Fa%2520b%2Fteam.yaml%3Ftag%3Dv1%26x%3D%281%29`)
    expect(sources.get(key)).toMatchObject({ key, baseDir: undefined })
    expect(seen[0]?.headers.authorization).toBeUndefined()
  })

  it('is fetched by http from a loopback host that has a name', async () => {
    expect(descriptionIn(await create(`${base.replace('127.0.0.1', 'localhost')}/team.yaml`))).toBe('one')
  })

  it('is found again with another query or fragment, and by the URL itself', async () => {
    const sources = await create(`${base}/team.yaml?tag=v1`)
    for (const asked of [`${base}/team.yaml?tag=v2`, `${base}/team.yaml#x`, `${base}/team.yaml`]) {
      expect(sources.get(asked).key).toBe(sources.list()[0]?.name)
      expect(sources.get(encodeURIComponent(asked)).key).toBe(sources.list()[0]?.name)
    }
    for (const asked of [`${base}/other.yaml`, 'https://example.com/team.yaml', 'team', '', '%']) {
      expect(() => sources.get(asked)).toThrow(expect.objectContaining({ code: 'unknown_agent' }))
    }
  })

  it('is asked for again with its ETag, and kept when it is unchanged', async () => {
    answer = (request, response) => {
      if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end()
      else response.writeHead(200, { etag: '"1"' }).end(agent('one'))
    }
    const sources = await create(`${base}/team.yaml`)
    const before = sources.get(`${base}/team.yaml`)
    await sources.refresh()
    expect(seen.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"1"'])
    expect(sources.get(`${base}/team.yaml`)).toBe(before)

    answer = text(agent('two'), { etag: '"2"' })
    await sources.refresh()
    expect(descriptionIn(sources)).toBe('two')
    expect(sources.get(`${base}/team.yaml`).version).not.toBe(before.version)
  })

  it('is fetched on its interval until it is closed', async () => {
    const sources = await create(`${base}/team.yaml`, { pullIntervalMinutes: 0.0002 })
    answer = text(agent('two'))
    await vi.waitUntil(() => descriptionIn(sources) === 'two', patience)
    await sources.close()
    const count = seen.length
    await sources.refresh()
    expect(seen).toHaveLength(count)
    expect(descriptionIn(sources)).toBe('two')
  })

  const failures: readonly [string, Handler, string][] = [
    ['an error status', (_, response) => response.writeHead(500).end(), 'it answered 500'],
    [
      'a cut connection',
      (_, response) => response.writeHead(200, { 'content-length': '999' }).write('a', () => response.destroy()),
      'cannot be read',
    ],
    ['too many bytes', text('#'.repeat(1024 * 1024 + 1)), 'larger than 1048576 bytes'],
    ['a redirect to a private address', redirect('http://10.0.0.1/team.yaml'), 'only https is followed'],
    [
      'a redirect to a private address by https',
      redirect('https://10.0.0.1/team.yaml'),
      '10.0.0.1 is not a public address',
    ],
    ['a redirect to the metadata service', redirect('https://169.254.169.254/latest'), 'is not a public address'],
    ['a redirect to this machine by https', redirect('https://[::1]/team.yaml'), 'is not a public address'],
    ['a redirect to a mapped address', redirect('https://[::ffff:10.0.0.1]/team.yaml'), 'is not a public address'],
    ['a redirect to another scheme', redirect('file:///etc/passwd'), 'only https is followed'],
    ['a redirect without end', redirect('/again'), 'redirects more than 5 times'],
    ['a file that does not parse', text('agents: ['), '(line 1)'],
  ]

  it.each(failures)('keeps the last good bytes after %s (F5, F6)', async (_, failure, message) => {
    const sources = await create(`${base}/team.yaml`)
    answer = failure
    await sources.refresh()
    expect(sources.list()[0]).toMatchObject({ description: 'one', error: expect.stringContaining(message) })
    expect(sources.get(`${base}/team.yaml`).file.agents).toHaveLength(1)

    answer = text(agent('two'))
    await sources.refresh()
    expect(sources.list()).toEqual([{ name: expect.any(String), description: 'two', multi: false }])
  })

  it.each(failures)('cannot start with %s', async (_, failure, message) => {
    answer = failure
    await expect(create(`${base}/team.yaml`)).rejects.toMatchObject({
      code: message === '(line 1)' ? 'invalid_agent_file' : 'agent_source_unavailable',
      message: expect.stringContaining(message),
    })
  })

  it('follows a redirect on the same loopback host', async () => {
    answer = (request, response) =>
      (request.url === '/' ? redirect('/team.yaml') : text(agent('moved')))(request, response)
    expect(descriptionIn(await create(`${base}/`))).toBe('moved')
  })

  it.each(['https://127.0.0.1', 'https://localhost', 'https://10.1.2.3', 'https://0x7f000001', 'https://[fe80::1]'])(
    'is refused at %s before anything is sent (F6)',
    async (host) => {
      const url = `${host}:${new URL(base).port}/team.yaml`
      await expect(create(url)).rejects.toMatchObject({
        code: 'agent_source_unavailable',
        message: expect.stringContaining('is not a public address'),
      })
      expect(seen).toEqual([])
    },
  )

  it('gives up on a server that does not answer', async () => {
    answer = () => undefined
    await expect(create(`${base}/team.yaml`, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'agent_source_unavailable',
      message: expect.stringContaining('it took too long'),
    })
  })

  it('refuses instruction files, which a URL has not', async () => {
    answer = text(`${agent('one')}    instruction_file: words.md\n`)
    await expect(create(`${base}/team.yaml`)).rejects.toMatchObject({ code: 'invalid_agent_file' })
  })

  it('ends a fetch that goes on when it is closed', async () => {
    const sources = await create(`${base}/team.yaml`)
    answer = () => undefined
    const refreshing = sources.refresh()
    await vi.waitUntil(() => seen.length === 2, patience)
    await sources.close()
    await refreshing
    expect(descriptionIn(sources)).toBe('one')
  })
})
