import { describe, expect, it } from 'vitest'
import type { EndpointName } from '../../src/protocol/protocol.ts'
import { Bench } from './bench.ts'
import type { Request } from './client.ts'

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`

describe('A body that is nested too deep', () => {
  const bodies: readonly (readonly [EndpointName, string, (inside: string) => string])[] = [
    ['createSession', 'what nobody knows', (inside) => `{"x":${inside}}`],
    ['startRun', 'a part of a message', (inside) => `{"agent":"echo","messages":[{"multi_content":${inside}}]}`],
    [
      'addMessage',
      'what only a provider reads',
      (inside) =>
        `{"message":{"agent_name":"","message":{"role":"user","content":"x","provider_metadata":{"a":${inside}}}}}`,
    ],
    ['answerRequest', 'an answer', (inside) => `{"action":"accept","content":{"a":${inside}}}`],
  ]

  it.each(bodies)('is refused by %s in %s, with a key and without', async (name, _, bodyOf) => {
    await using bench = await Bench.open()
    const { id, requestId } = await bench.asking('elicitor')
    for (const levels of [257, 5000, 200_000]) {
      for (const headers of [undefined, { 'idempotency-key': `k${levels}` }]) {
        const request: Request = {
          params: { id, request_id: requestId },
          body: bodyOf(nested(levels)),
          ...(headers && { headers }),
        }
        const { status, code, body } = await bench.client.call(name, request)
        expect({ levels, status, code }).toEqual({ levels, status: 400, code: 'invalid_request' })
        expect(body).toMatchObject({ details: [{ path: 'body', message: expect.stringContaining('256') }] })
      }
    }
  })

  it('is taken when it is deep, and not too deep', async () => {
    await using bench = await Bench.open()
    const { id, requestId } = await bench.asking('elicitor')
    const body = `{"action":"accept","content":{"a":${nested(200)}}}`
    expect(await bench.client.call('answerRequest', { params: { id, request_id: requestId }, body })).toMatchObject({
      status: 200,
      body: { answer: { content: { a: JSON.parse(nested(200)) } } },
    })
  })
})

describe('What would make lists and runs too large', () => {
  const long = 'x'.repeat(1001)

  it.each([
    ['createSession', () => ({ body: { title: long } }), 'body.title'],
    ['setTitle', (id: string) => ({ params: { id }, body: { title: long } }), 'body.title'],
    ['batchDelete', () => ({ body: { session_ids: Array(1001).fill('x') } }), 'body.session_ids'],
    ['batchExport', () => ({ body: { session_ids: Array(1001).fill('x') } }), 'body.session_ids'],
    [
      'startRun',
      (id: string) => ({ params: { id }, body: { agent: 'echo', messages: Array(1001).fill({}) } }),
      'body.messages',
    ],
  ] as const)('is refused by %s', async (name, requestOf, path) => {
    await using bench = await Bench.open()
    const { status, body } = await bench.client.call(name, requestOf(await bench.session()))
    expect({ status, body }).toMatchObject({ status: 400, body: { code: 'invalid_request', details: [{ path }] } })
  })

  it('takes a long history that a client sends along, of which little is new', async () => {
    await using bench = await Bench.open()
    const id = await bench.session()
    const messages = [...Array(5000).fill({ content: 'old' }), { role: 'assistant', content: 'a' }, { content: 'new' }]
    expect((await bench.client.call('startRun', { params: { id }, body: { agent: 'echo', messages } })).status).toBe(
      202,
    )
  })

  it('exports a session once, however often it is named', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const { body } = await bench.client.call('batchExport', { body: { session_ids: Array(1000).fill(id) } })
    expect(body).toMatchObject({ session_count: 1 })
  })
})

describe('Keys and ids that mean something to JavaScript', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'a/b', '..', '\u0000', '😀', '%', "';--"]

  it('are texts like any other in a path', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    for (const name of names.filter((one) => one !== '..')) {
      for (const endpoint of ['getSession', 'getEvents', 'explain', 'deleteSession'] as const) {
        const { status } = await bench.client.call(endpoint, { params: { id: name } })
        expect({ name, endpoint, status }).toEqual({ name, endpoint, status: 404 })
      }
      const params = { id, run_id: name, input_id: name, request_id: name }
      for (const endpoint of ['getRun', 'getInput', 'getRequest'] as const) {
        expect((await bench.client.call(endpoint, { params })).status, `${endpoint} ${name}`).toBe(404)
      }
    }
  })

  it('change nothing as keys, and are kept where keys are free', async () => {
    await using bench = await Bench.open()
    const attributes = '{"__proto__":"a","constructor":"b","toString":"c"}'
    const body = `{"__proto__":{"starred":true},"constructor":{"prototype":{"x":1}},"attributes":${attributes}}`
    const { body: made } = await bench.client.call('createSession', { body })
    expect(made).toMatchObject({ starred: false })
    expect(JSON.stringify(made)).toContain('"attributes":{"constructor":"b","toString":"c"}')
    expect(Object.keys(Object.prototype)).toEqual([])
    expect({}).not.toHaveProperty('x')
  })

  it('come back as they were in titles and messages, also those that are no whole characters', async () => {
    await using bench = await Bench.open()
    const text = 'a\u0000b \ud800 __proto__ 😀'
    const { body } = await bench.client.call('createSession', { body: { title: text } })
    expect(body).toMatchObject({ title: text })
    expect((await bench.client.call('listSessions', { query: { q: '__PROTO__' } })).body).toEqual([
      expect.objectContaining({ title: text }),
    ])
  })
})
