import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { listen } from '../src/server/listen.ts'
import { firstAgent, tryLine } from '../src/try-line.ts'

const curl = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'curl')))

let folder: string
let server: FastifyInstance

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-try-'))
  server = Fastify()
  server.post('/api/sessions', async () => ({ id: '01J', title: '', permissions: { id: 'no' } }))
  server.post('/api/sessions/:id/agent/:agent', async ({ params, body, headers }) => ({ params, body, headers }))
})

afterEach(async () => {
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

/** What the shell makes of the line, with the token in its environment. */
function run(line: string | undefined): Promise<unknown> {
  return new Promise((done, fail) => {
    const env = { PATH: process.env.PATH, QUARTERDECK_AUTH_TOKEN: 'secret' }
    execFile('/bin/sh', ['-c', line ?? 'false'], { env }, (error, stdout) =>
      error ? fail(error) : done(JSON.parse(stdout)),
    )
  })
}

describe.skipIf(!curl)('the line to try (skipped where there is no curl)', () => {
  test('creates a session and runs the agent on it', async () => {
    const url = await listen(server, { kind: 'tcp', host: '127.0.0.1', port: 0 })
    expect(await run(tryLine(url, 'demo', true))).toMatchObject({
      params: { id: '01J', agent: 'demo' },
      body: { messages: [{ role: 'user', content: 'hello' }] },
      headers: { authorization: 'Bearer secret' },
    })
  })

  test('goes through a Unix socket', async () => {
    const url = await listen(server, { kind: 'unix', path: join(folder, "it's a.sock") })
    expect(await run(tryLine(url, 'demo', false))).toMatchObject({ params: { id: '01J', agent: 'demo' } })
  })
})

describe('the line to try', () => {
  test('calls this machine when the server listens on every address', () => {
    expect(tryLine('http://0.0.0.0:80', 'demo', false)).toContain('http://127.0.0.1:80/api')
    expect(tryLine('http://[::]:80', 'demo', false)).toContain('http://[::1]:80/api')
  })

  test('is missing for an inherited socket that no URL leads to', () => {
    expect(tryLine('fd://3', 'demo', false)).toBeUndefined()
  })
})

describe('the agent to try', () => {
  test('is the demo of a directory, otherwise its first', () => {
    expect(firstAgent(folder)).toBeUndefined()
    writeFileSync(join(folder, 'notes.txt'), '')
    writeFileSync(join(folder, 'b c.YML'), '')
    expect(firstAgent(folder)).toBe('b%20c')
    writeFileSync(join(folder, 'demo.yaml'), '')
    writeFileSync(join(folder, 'a.yaml'), '')
    expect(firstAgent(folder)).toBe('demo')
  })

  test('is named as its file or its URL', () => {
    expect(firstAgent('/somewhere/my agent.yaml')).toBe('my%20agent')
    expect(firstAgent('https://x.test/a.yaml')).toBe('https%3A%2F%2Fx.test%2Fa.yaml')
  })
})
