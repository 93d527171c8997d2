import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { type GuardedRequest, guardedRequest, isLoopback, NetFailure, readBody } from '../../src/net/net.ts'
import { httpServer } from '../models/http-server.ts'

function request(more: Partial<GuardedRequest> = {}): GuardedRequest {
  return { headers: () => ({}), reach: () => 'any', signal: new AbortController().signal, ...more }
}

describe('a guarded request', () => {
  it.each([
    ['an address of this machine', 'http://127.0.0.1/'],
    ['one that is written as a number', 'http://2130706433/'],
    ['one of version 6', 'http://[::1]/'],
    ['one of version 4 within version 6', 'http://[::ffff:127.0.0.1]/'],
    ['one that is translated to version 4', 'http://[64:ff9b::7f00:1]/'],
    ['no address at all', 'http://0.0.0.0/'],
    ['a private network', 'http://10.1.2.3/'],
    ['a link', 'http://169.254.169.254/latest'],
    ['the network of a provider', 'http://100.64.0.1/'],
    ['a private network of version 6', 'http://[fd00::1]/'],
    ['a name of this machine', 'http://localhost/'],
  ])('does not go to %s when it may go to public addresses only', async (_, url) => {
    const refused = guardedRequest(new URL(url), request({ reach: () => 'public' }))
    await expect(refused).rejects.toThrow(/is not a public address/)
    await expect(refused).rejects.toBeInstanceOf(NetFailure)
  })

  it('checks every hop, and asks for the headers of each', async () => {
    const seen: unknown[] = []
    await using server = await httpServer((request, response) => {
      seen.push([request.url, request.headers.secret])
      response.writeHead(302, { location: request.url === '/a' ? '/b' : '/c' }).end()
    })
    const refused = guardedRequest(
      new URL(`${server.url}/a`),
      request({
        headers: ({ pathname }): Record<string, string> => (pathname === '/a' ? { secret: 'x' } : {}),
        reach: ({ pathname }) => (pathname === '/c' ? 'public' : 'any'),
      }),
    )
    await expect(refused).rejects.toThrow('127.0.0.1 is not a public address')
    expect(seen).toEqual([
      ['/a', 'x'],
      ['/b', undefined],
    ])
  })

  it.each([
    ['a protocol that is no web', 'ftp://127.0.0.1/', 'ftp: is not followed'],
    ['a file', 'file:///etc/passwd', 'file: is not followed'],
    ['what is no URL', 'http://[', 'not a URL'],
    ['itself, again and again', '/', 'redirects more than 5 times'],
  ])('does not follow a redirect to %s', async (_, location, message) => {
    await using server = await httpServer((_, response) => void response.writeHead(307, { location }).end())
    await expect(guardedRequest(new URL(server.url), request())).rejects.toThrow(message)
  })

  it.each([
    [303, 'GET', ''],
    [302, 'GET', ''],
    [307, 'POST', 'body'],
    [308, 'POST', 'body'],
  ])('repeats after %i with %s', async (status, method, body) => {
    const seen: unknown[] = []
    await using server = await httpServer(async (request, response) => {
      const text = Buffer.concat(await request.toArray()).toString()
      if (request.url === '/b') seen.push(request.method, text)
      response.writeHead(request.url === '/b' ? 200 : status, { location: '/b' }).end()
    })
    const { message, url } = await guardedRequest(new URL(server.url), request({ method: 'POST', body: 'body' }))
    message.destroy()
    expect(url.pathname).toBe('/b')
    expect(seen).toEqual([method, body])
  })

  it('leaves when its signal aborts', async () => {
    const asked = Promise.withResolvers<void>()
    const left = Promise.withResolvers<void>()
    await using server = await httpServer((_, response) => {
      response.on('close', () => left.resolve())
      asked.resolve()
    })
    const stop = new AbortController()
    const pending = guardedRequest(new URL(server.url), request({ signal: stop.signal }))
    await asked.promise
    stop.abort()
    await expect(pending).rejects.toThrow()
    await left.promise
  })
})

describe('a body', () => {
  it.each([
    ['as it is', {}, Buffer.from('abcdef')],
    ['unpacked', { 'content-encoding': 'gzip' }, gzipSync('abcdef')],
  ])('is read %s, as far as is asked', async (_, headers, sent) => {
    await using server = await httpServer((_, response) => void response.writeHead(200, headers).end(sent))
    const read = async (max: number) => {
      const { bytes, cut } = await readBody((await guardedRequest(new URL(server.url), request())).message, max)
      return [bytes.toString(), cut]
    }
    expect(await read(6)).toEqual(['abcdef', false])
    expect(await read(4)).toEqual(['abcd', true])
  })

  it('that is packed to burst is cut', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000))
    await using server = await httpServer((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    })
    const { bytes, cut } = await readBody((await guardedRequest(new URL(server.url), request())).message, 1000)
    expect([bytes.length, cut]).toEqual([1000, true])
  })
})

it.each([
  ['http://localhost', true],
  ['http://127.8.8.8', true],
  ['http://[::1]', true],
  ['http://example.com', false],
  ['http://10.0.0.1', false],
])('knows whether %s names this machine', (url, here) => {
  expect(isLoopback(new URL(url))).toBe(here)
})
