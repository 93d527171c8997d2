import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify, { type FastifyInstance } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isLoopback, type ListenAddress, ListenError, listen, parseListenAddress } from '../../src/server/listen.ts'

let folder: string
let apps: FastifyInstance[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-listen-'))
  apps = []
})

afterEach(async () => {
  await Promise.all(apps.map((app) => app.close()))
  rmSync(folder, { recursive: true, force: true })
})

function application(): FastifyInstance {
  const app = Fastify()
  app.get('/health', async () => ({ status: 'ok' }))
  apps.push(app)
  return app
}

async function refusal(address: ListenAddress): Promise<ListenError> {
  const error = await listen(application(), address).catch((thrown: unknown) => thrown)
  if (error instanceof ListenError) return error
  throw new Error(`expected a ListenError, got ${String(error)}`)
}

function statusOver(socketPath: string): Promise<number | undefined> {
  return new Promise((done, fail) => {
    request({ socketPath, path: '/health', agent: false }, (response) => {
      response.resume()
      done(response.statusCode)
    })
      .once('error', fail)
      .end()
  })
}

describe('an address', () => {
  test.each<[string, ListenAddress]>([
    ['127.0.0.1:8080', { kind: 'tcp', host: '127.0.0.1', port: 8080 }],
    ['localhost:0', { kind: 'tcp', host: 'localhost', port: 0 }],
    [':8080', { kind: 'tcp', host: '0.0.0.0', port: 8080 }],
    ['[::1]:0', { kind: 'tcp', host: '::1', port: 0 }],
    ['unix:///run/q.sock', { kind: 'unix', path: '/run/q.sock' }],
    ['unix://q.sock', { kind: 'unix', path: join(process.cwd(), 'q.sock') }],
    ['fd://3', { kind: 'fd', fd: 3 }],
  ])('is read from %s', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address)
  })

  test.each([
    ['8080', 'is not an address'],
    ['', 'is not an address'],
    ['host:65536', 'is not an address'],
    ['host:http', 'is not an address'],
    ['::1:8080', 'is not an address'],
    ['[::1', 'is not an address'],
    ['[1:2]:80', 'is not an IPv6 address'],
    ['unix://', 'lacks the path'],
    ['fd://2', '3 or more'],
    ['fd://three', '3 or more'],
    ['npipe:////./pipe/q', 'npipe:// addresses are not supported'],
    ['http://127.0.0.1:80', 'http:// addresses are not supported'],
  ])('is refused by name when it is "%s"', (text, sentence) => {
    expect(() => parseListenAddress(text)).toThrow(
      expect.objectContaining({ code: 'malformed', message: expect.stringContaining(sentence) }),
    )
  })

  test.each<[string, boolean]>([
    ['127.0.0.1:1', true],
    ['127.9.9.9:1', true],
    ['[::1]:1', true],
    ['[::ffff:127.0.0.1]:1', true],
    ['localhost:1', true],
    ['unix:///q.sock', true],
    ['0.0.0.0:1', false],
    [':1', false],
    ['[::]:1', false],
    ['10.0.0.1:1', false],
    ['localhost.example.com:1', false],
    ['127.0.0.1.example.com:1', false],
    ['fd://3', false],
  ])('says of %s that it is loopback: %s', (text, loopback) => {
    expect(isLoopback(parseListenAddress(text))).toBe(loopback)
  })
})

describe('listening on TCP', () => {
  test('answers the real port when asked for port 0', async () => {
    const url = await listen(application(), { kind: 'tcp', host: '127.0.0.1', port: 0 })
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
    expect((await fetch(`${url}/health`)).status).toBe(200)
  })

  test('says in one sentence that the port is taken', async () => {
    const url = new URL(await listen(application(), { kind: 'tcp', host: '127.0.0.1', port: 0 }))
    const error = await refusal({ kind: 'tcp', host: '127.0.0.1', port: Number(url.port) })
    expect(error.code).toBe('taken')
    expect(error.message).toBe(`cannot listen on 127.0.0.1:${url.port}: another process already listens there`)
  })

  test('says in one sentence that the address is not of this machine', async () => {
    const error = await refusal({ kind: 'tcp', host: '192.0.2.1', port: 0 })
    expect(error.code).toBe('unusable')
    expect(error.message).toBe('cannot listen on 192.0.2.1:0: this machine does not have that address')
  })
})

describe('listening on a Unix socket', () => {
  test('creates the folder, serves, and removes the socket at close', async () => {
    const path = join(folder, 'deep', 'q.sock')
    const app = application()
    expect(await listen(app, { kind: 'unix', path })).toBe(`unix://${path}`)
    expect(await statusOver(path)).toBe(200)
    await app.close()
    expect(existsSync(path)).toBe(false)
  })

  test('replaces a socket whose process died', async () => {
    const path = join(folder, 'q.sock')
    await leaveDeadSocket(path)
    expect(existsSync(path)).toBe(true)
    await listen(application(), { kind: 'unix', path })
    expect(await statusOver(path)).toBe(200)
  })

  test('leaves a socket alone that somebody serves', async () => {
    const path = join(folder, 'q.sock')
    await listen(application(), { kind: 'unix', path })
    const error = await refusal({ kind: 'unix', path })
    expect(error.code).toBe('taken')
    expect(error.message).toBe(`another process already listens on unix://${path}`)
    expect(await statusOver(path)).toBe(200)
  })

  test('leaves a file alone that is not a socket', async () => {
    const path = join(folder, 'notes.txt')
    writeFileSync(path, 'mine')
    expect((await refusal({ kind: 'unix', path })).message).toBe(`${path} exists and is not a socket`)
    expect(readFileSync(path, 'utf8')).toBe('mine')
  })

  test('refuses a folder that cannot be made', async () => {
    writeFileSync(join(folder, 'file'), '')
    const error = await refusal({ kind: 'unix', path: join(folder, 'file', 'q.sock') })
    expect(error.code).toBe('unusable')
  })
})

describe('listening on an inherited socket', () => {
  test('says in one sentence that there is nothing to inherit', async () => {
    expect((await refusal({ kind: 'fd', fd: 999_999 })).message).toMatch(/^cannot listen on fd:\/\/999999: /)
  })
})

async function leaveDeadSocket(path: string): Promise<void> {
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: 'ignore' })
  await new Promise((done) => child.once('exit', done))
}
