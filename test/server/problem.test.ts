import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Bench } from './bench.ts'
import { request, send } from './raw.ts'

const Line = z.looseObject({ level: z.number(), request_id: z.string(), err: z.looseObject({ message: z.string() }) })

const isNoGreeting = (line: unknown): boolean => !JSON.stringify(line).includes('Server listening')

function recording(): { readonly logger: ReturnType<typeof pino>; readonly lines: unknown[] } {
  const lines: unknown[] = []
  return { logger: pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line)) }), lines }
}

describe('An error', () => {
  it('of a route that does not exist is unknown_route', async () => {
    await using bench = await Bench.open()
    for (const path of ['/', '/api', '/api/sessions/', '/api/sessions/a/b/c', '/api/session', '/healthz']) {
      const response = await fetch(bench.client.url + path, { method: 'POST', body: '{}' })
      expect(response.status, path).toBe(404)
      expect(await response.json()).toEqual({
        code: 'unknown_route',
        message: 'There is no such route',
        error: 'There is no such route',
        retryable: false,
      })
    }
  })

  it('of a method that a route does not take names those it takes', async () => {
    await using bench = await Bench.open()
    const response = await fetch(`${bench.client.url}/api/sessions/x?a=b`, { method: 'PUT' })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe('GET, DELETE')
    expect(await response.json()).toMatchObject({ code: 'method_not_allowed' })
    expect((await fetch(`${bench.client.url}/health`, { method: 'HEAD' })).status).toBe(405)
    expect((await fetch(`${bench.client.url}/api/sessions`, { method: 'OPTIONS' })).status).toBe(405)
  })

  it('of a request that cannot be read has the same shape', async () => {
    await using bench = await Bench.open()
    const { url } = bench.client
    expect(await send(url, 'NONSENSE\r\n\r\n')).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(await request(url, 'GET /%zz', { host: 'localhost' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    })
    const long = `GET /api/agents/${'x'.repeat(5000)}`
    expect(await request(url, long, { host: 'localhost' })).toMatchObject({
      status: 404,
      body: { code: 'unknown_route' },
    })
    const huge = { host: 'localhost', 'x-huge': 'x'.repeat(20_000) }
    expect(await request(url, 'GET /health', huge)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  })

  it('names each path that is wrong', async () => {
    await using bench = await Bench.open()
    const id = await bench.session()
    const { body } = await bench.client.call('steer', {
      params: { id },
      body: { messages: [{ content: 'fine' }, { content: 3, multi_content: [{ type: 'sound' }] }] },
    })
    expect(body).toMatchObject({
      code: 'invalid_request',
      details: [{ path: 'body.messages[1].content' }, { path: 'body.messages[1].multi_content[0].type' }],
    })
    const run = { params: { id, agent: 'echo' }, body: { messages: [{ content: 3 }] } }
    expect((await bench.client.call('streamRun', run)).body).toMatchObject({
      details: [{ path: 'body.messages[0].content' }],
    })
    const events = { params: { id }, query: { since: '1e3', limit: '0', wait: '5' } }
    expect((await bench.client.call('getEvents', events)).body).toMatchObject({
      details: [
        { path: 'query.since', message: 'must be a sequence number' },
        { path: 'query.wait', message: 'must be a duration such as 300ms, 10s or 1m30s' },
        { path: 'query.limit' },
      ],
    })
  })

  it('says when to come again', async () => {
    await using bench = await Bench.open({ manager: { maxConcurrentRuns: 1 } })
    await bench.running('gated')
    const id = await bench.session()
    const refused = await bench.client.call('startRun', { params: { id }, body: { agent: 'echo', messages: [] } })
    expect(refused).toMatchObject({ status: 429, body: { code: 'too_many_runs', retryable: true } })
    expect(refused.headers.get('retry-after')).toBe('1')
  })

  it('that is a defect is logged once with its request id, and tells nothing', async () => {
    const { logger, lines } = recording()
    await using bench = await Bench.open({ server: { logger } })
    bench.breakStore('defect')
    const { body } = await bench.client.call('getSession', {
      params: { id: 'x' },
      headers: { 'x-request-id': 'abc-1' },
    })
    expect(body).toEqual({
      code: 'internal',
      message: 'The server has a defect',
      error: 'The server has a defect',
      retryable: false,
      request_id: 'abc-1',
    })
    const [line, ...more] = lines.filter(isNoGreeting).map((each) => Line.parse(each))
    expect(more).toEqual([])
    expect(line).toMatchObject({ level: 50, request_id: 'abc-1', err: { message: expect.stringContaining('on fire') } })
  })

  it('of the caller is not logged, and neither is a request', async () => {
    const { logger, lines } = recording()
    await using bench = await Bench.open({ server: { logger, authToken: 'top-secret' } })
    await bench.client.call('ping', { headers: { authorization: 'Bearer nearly-top-secret' } })
    await bench.client.call('listSessions', { headers: { authorization: 'Bearer top-secret' } })
    expect(JSON.stringify(lines)).not.toContain('secret')
    expect(lines.filter(isNoGreeting)).toEqual([])
  })
})

describe('A request id', () => {
  it('that the client gave is the answer’s', async () => {
    await using bench = await Bench.open()
    const given = 'trace/1:2=3~'
    const { headers } = await bench.client.call('ping', { headers: { 'x-request-id': given } })
    expect(headers.get('x-request-id')).toBe(given)
    const missing = await fetch(`${bench.client.url}/nowhere`, { headers: { 'x-request-id': given } })
    expect(missing.headers.get('x-request-id')).toBe(given)
  })

  it('that is too long, or not visible ASCII, is replaced', async () => {
    await using bench = await Bench.open()
    for (const given of ['x'.repeat(129), 'two words', 'caf\u00e9']) {
      const { headers } = await bench.client.call('ping', { headers: { 'x-request-id': given } })
      expect(headers.get('x-request-id')).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
    }
  })
})
