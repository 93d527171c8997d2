import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { buildServer } from '../../src/server/server.ts'
import { Bench } from './bench.ts'
import { request } from './raw.ts'

const forbidden = { status: 403, body: { code: 'forbidden_origin', retryable: false } }

describe('A server without a token', () => {
  it.each([
    '127.0.0.1',
    '127.0.0.1:8080',
    '127.1.2.3',
    'localhost',
    'LOCALHOST:1',
    'localhost.',
    'app.localhost',
    '[::1]:8080',
  ])('is known as %s', async (host) => {
    await using bench = await Bench.open()
    expect(await request(bench.client.url, 'GET /api/ping', { host })).toMatchObject({ status: 200 })
  })

  it.each([
    'rebound.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1:8080',
    '0x7f.1',
    '2130706433',
    '[2001:db8::1]',
    'a@127.0.0.1',
    '127.0.0.1/x',
    '127.0.0.1:x',
    '',
  ])('refuses a request to %j: a name may have been pointed here', async (host) => {
    await using bench = await Bench.open()
    expect(await request(bench.client.url, 'GET /api/ping', { host })).toMatchObject(forbidden)
  })

  it('is known by the names that it was given, and by every address when it listens on all of them', async () => {
    await using named = await Bench.open({ server: { hosts: ['Box.lan'] } })
    expect(await request(named.client.url, 'GET /api/ping', { host: 'box.lan:8080' })).toMatchObject({ status: 200 })
    expect(await request(named.client.url, 'GET /api/ping', { host: '10.0.0.1' })).toMatchObject(forbidden)
    await using everywhere = await Bench.open({ server: { hosts: ['0.0.0.0'] } })
    expect(await request(everywhere.client.url, 'GET /api/ping', { host: '10.0.0.1:8080' })).toMatchObject({
      status: 200,
    })
    expect(await request(everywhere.client.url, 'GET /api/ping', { host: 'rebound.example' })).toMatchObject(forbidden)
  })

  it.each(['null', 'https://evil.example', 'http://localhost:1', 'file://', 'http://127.0.0.1', 'not an origin', ''])(
    'refuses the Origin %j',
    async (origin) => {
      await using bench = await Bench.open()
      expect(await request(bench.client.url, 'GET /api/ping', { host: 'localhost:8080', origin })).toMatchObject(
        forbidden,
      )
    },
  )

  it('takes its own Origin, also behind a proxy that speaks https, and those it was told of', async () => {
    await using bench = await Bench.open({ server: { corsOrigins: ['https://app.example'] } })
    const ask = (host: string, origin: string) => request(bench.client.url, 'GET /api/ping', { host, origin })
    expect(await ask('localhost:8080', 'http://localhost:8080')).toMatchObject({ status: 200 })
    expect(await ask('localhost', 'https://localhost')).toMatchObject({ status: 200 })
    expect(await ask('localhost:80', 'http://localhost')).toMatchObject({ status: 200 })
    const allowed = await ask('localhost:8080', 'https://app.example')
    expect(allowed).toMatchObject({ status: 200 })
    expect(allowed.head).toContain('access-control-allow-origin: https://app.example')
    expect(await ask('localhost:8080', 'https://app.example.evil')).toMatchObject(forbidden)
  })

  it('says how what it refuses can be allowed', async () => {
    await using bench = await Bench.open()
    const ask = (headers: Record<string, string>) => request(bench.client.url, 'GET /api/ping', headers)
    const origin = await ask({ host: 'localhost:8080', origin: 'http://localhost:5173' })
    expect(origin.body).toMatchObject({ message: expect.stringContaining('--cors-origin') })
    const host = await ask({ host: 'server.example' })
    expect(host.body).toMatchObject({ message: expect.stringContaining('--auth-token') })
  })

  it('refuses the text/plain of a foreign form before its body is read', async () => {
    await using bench = await Bench.open()
    const headers = { host: 'localhost', origin: 'https://evil.example', 'content-type': 'text/plain' }
    // The body that is announced never comes: whoever waits for it waits for ever.
    const answer = await request(bench.client.url, 'POST /api/sessions', { ...headers, 'content-length': '20' })
    expect(answer).toMatchObject(forbidden)
    expect(bench.manager.getSessions({ limit: 10 }).entries).toEqual([])
  })

  it('does not answer the preflight of a foreign page', async () => {
    await using bench = await Bench.open({ server: { corsOrigins: ['https://app.example'] } })
    const preflight = { host: 'localhost', 'access-control-request-method': 'POST' }
    const foreign = await request(bench.client.url, 'OPTIONS /api/sessions', {
      ...preflight,
      origin: 'https://evil.example',
    })
    expect(foreign).toMatchObject(forbidden)
    const known = await request(bench.client.url, 'OPTIONS /api/sessions', {
      ...preflight,
      origin: 'https://app.example',
    })
    expect(known).toMatchObject({ status: 204 })
  })

  it('asks for no Host on a Unix socket, which no browser reaches, and still for the Origin', async () => {
    await using bench = await Bench.open()
    const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-guard-'))
    const app = await buildServer(bench.manager, { version: '1' })
    const socketPath = join(folder, 'http.sock')
    await app.listen({ path: socketPath })
    const status = (headers: Record<string, string>) =>
      new Promise((done, fail) => {
        const call = httpRequest({ socketPath, path: '/api/ping', headers, agent: false }, (response) => {
          response.resume()
          done(response.statusCode)
        })
        call.on('error', fail)
        call.end()
      })
    expect(await status({ host: 'whatever' })).toBe(200)
    expect(await status({ host: 'whatever', origin: 'null' })).toBe(403)
    await app.close()
    rmSync(folder, { recursive: true })
  })
})
