import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Bench } from './bench.ts'
import { request } from './raw.ts'

const Created = z.looseObject({ id: z.string(), attributes: z.record(z.string(), z.string()).optional() })

describe('A body', () => {
  it.each([undefined, '', ' \n', 'null'])('that is %j stands for what the route says', async (body) => {
    await using bench = await Bench.open()
    const headers = { 'content-type': 'application/json' }
    expect(await bench.client.call('createSession', { body, headers })).toMatchObject({
      status: 200,
      body: { messages: null },
    })
  })

  it('that is empty is malformed where the route says nothing', async () => {
    await using bench = await Bench.open()
    const params = { id: await bench.session(), agent: 'echo' }
    for (const endpoint of ['streamRun', 'steer'] as const) {
      const answer = await bench.client.call(endpoint, { params })
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request', details: [{ path: 'body' }] } })
    }
  })

  it('that is not called JSON is refused, but for the run routes', async () => {
    await using bench = await Bench.open()
    const params = { id: await bench.session(), agent: 'echo' }
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const headers = { 'content-type': type }
      expect(await bench.client.call('createSession', { body: '{}', headers })).toMatchObject({ status: 400 })
      const run = { params, body: '[{"content":"hi"}]', headers }
      expect(await bench.client.call('streamRun', run)).toMatchObject({ status: 200 })
    }
    const json = { 'content-type': 'Application/JSON; charset=UTF-8' }
    expect(await bench.client.call('createSession', { body: '{}', headers: json })).toMatchObject({ status: 200 })
  })

  it('may come without a content type to a run route', async () => {
    await using bench = await Bench.open()
    const body = '{"messages":[{"content":"hi"}]}'
    const headers = { host: 'localhost', 'content-length': String(body.length) }
    const none = await request(bench.client.url, 'POST /api/sessions', headers, body)
    expect(none).toMatchObject({ status: 400, body: { code: 'unsupported_media_type' } })
    const run = await request(bench.client.url, 'POST /api/sessions/none/agent/echo', headers, body)
    expect(run).toMatchObject({ status: 404, body: { code: 'unknown_session' } })
  })

  it('that is too large is refused before it has come', async () => {
    await using bench = await Bench.open({ server: { maxRequestSize: 100 } })
    const headers = { host: 'localhost', 'content-type': 'application/json', 'content-length': '101' }
    const answer = await request(bench.client.url, 'POST /api/sessions', headers)
    expect(answer).toMatchObject({ status: 413, body: { code: 'request_too_large', retryable: false } })
    const body = JSON.stringify({ title: 'x'.repeat(88) })
    expect(await bench.client.call('createSession', { body })).toMatchObject({ status: 200 })
  })

  it('that is too large is refused while it comes, when it did not say so', async () => {
    await using bench = await Bench.open({ server: { maxRequestSize: 100 } })
    const headers = { host: 'localhost', 'content-type': 'application/json', 'transfer-encoding': 'chunked' }
    const chunk = `80\r\n${' '.repeat(128)}\r\n`
    expect(await request(bench.client.url, 'POST /api/sessions', headers, chunk)).toMatchObject({ status: 413 })
  })

  it('cannot reach into prototypes', async () => {
    await using bench = await Bench.open()
    const body = '{"__proto__":{"title":"poison"},"attributes":{"__proto__":"poison","fine":"yes"}}'
    const created = Created.parse((await bench.client.call('createSession', { body })).body)
    expect(created).toMatchObject({ title: '', attributes: { fine: 'yes' } })
    expect(Object.keys(created.attributes ?? {})).toEqual(['fine'])
  })
})
