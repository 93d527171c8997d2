import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type EndpointName, endpoints } from '../../src/protocol/protocol.ts'
import { Bench } from './bench.ts'
import type { Request } from './client.ts'

const Page = z.array(z.looseObject({}))

/** Follows `Link: rel="next"` to the end. */
async function pages(bench: Bench, name: EndpointName, request: Request): Promise<unknown[][]> {
  const found: unknown[][] = []
  let query = request.query ?? {}
  for (;;) {
    const { body, headers } = await bench.client.call(name, { ...request, query })
    found.push(Page.parse(body))
    const next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
    if (next === undefined) return found
    query = Object.fromEntries(new URL(next, bench.client.url).searchParams)
  }
}

describe('A list', () => {
  it('of sessions names its next page, with the same filters', async () => {
    await using bench = await Bench.open()
    const titles = ['a', 'b', 'c', 'other']
    for (const title of titles) await bench.client.call('createSession', { body: { title: `${title} & <title>` } })
    const found = await pages(bench, 'listSessions', {
      query: { limit: '2', q: '& <title>', created_after: '2020-01-01T00:00:00Z' },
    })
    expect(found.map((page) => page.length)).toEqual([2, 2])
    expect(new Set(found.flat().map((each) => JSON.stringify(each))).size).toBe(4)
  })

  it('of runs and of messages names its next page', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    await bench.client.call('streamRun', { params: { id, agent: 'echo' }, body: [{ content: 'again' }] })
    expect(
      (await pages(bench, 'listRuns', { params: { id }, query: { limit: '1' } })).map((page) => page.length),
    ).toEqual([1, 1])
    const messages = await pages(bench, 'listMessages', { params: { id }, query: { limit: '3' } })
    expect(messages.flat()).toMatchObject(['go', 'go', 'again', 'again'].map((content) => ({ message: { content } })))
    expect(messages.map((page) => page.length)).toEqual([3, 1])
  })

  it('of active sessions holds those that run', async () => {
    await using bench = await Bench.open()
    await bench.ran()
    const { id } = await bench.running('gated')
    const { body } = await bench.client.call('listSessions', { query: { active: 'true' } })
    expect(body).toMatchObject([{ id, streaming: true }])
  })
})

describe('A transcript', () => {
  it('can be left out, or be as long as the client wants', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const read = async (name: 'getSession' | 'getSnapshot', messages: string) =>
      (await bench.client.call(name, { params: { id }, query: { messages } })).body
    expect(await read('getSession', 'none')).not.toHaveProperty('messages')
    expect(await read('getSession', 'last:1')).toMatchObject({ messages: [{ message: { role: 'assistant' } }] })
    expect(await read('getSession', 'all')).toMatchObject({ messages: [{}, {}] })
    expect(await read('getSnapshot', 'none')).toMatchObject({ messages: null, last_event_seq: 5 })
  })

  it('takes the message id that it shows', async () => {
    await using bench = await Bench.open()
    const id = await bench.session()
    const added = await bench.client.call('addMessage', {
      params: { id },
      body: { message: { agentName: 'old', message: { role: 'user', content: 'one' } } },
    })
    const { message_id } = z.object({ status: z.literal('added'), message_id: z.string() }).parse(added.body)
    const body = { message: { message: { role: 'user', content: 'two' } } }
    await bench.client.call('updateMessage', { params: { id, msg_id: message_id }, body })
    const { body: messages } = await bench.client.call('listMessages', { params: { id } })
    expect(messages).toMatchObject([{ id: message_id, message: { content: 'two' } }])
  })
})

describe('A deletion', () => {
  it('waits for the run only when wait is exactly true', async () => {
    await using bench = await Bench.open()
    const one = await bench.running('stubborn')
    expect(await bench.client.call('deleteSession', { params: one, query: { wait: 'yes' } })).toMatchObject({
      status: 200,
      body: { message: 'session deleted' },
    })
    const two = await bench.running('stubborn')
    expect(
      await bench.client.call('deleteSession', { params: two, query: { wait: 'true', timeout: '0' } }),
    ).toMatchObject({
      status: 202,
      body: { message: 'session deleted, stop still in progress' },
    })
    const three = await bench.running('gated')
    expect((await bench.client.call('deleteSession', { params: three, query: { wait: 'true' } })).status).toBe(200)
  })

  it('of many counts what it deleted and names what it could not', async () => {
    await using bench = await Bench.open()
    const session_ids = [await bench.session(), await bench.session(), 'none']
    const { body } = await bench.client.call('batchDelete', { body: { session_ids } })
    expect(body).toEqual({ deleted_count: 2, failed_count: 1, failed_ids: ['none'] })
  })
})

describe('A follow-up', () => {
  it('with the key of another is a duplicate', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const request = {
      params: { id },
      body: { messages: [{ content: 'and then?' }] },
      headers: { 'idempotency-key': 'k' },
    }
    const queued = { status: 202, body: { status: 'queued_streaming', duplicate: false } }
    expect(await bench.client.call('followUp', request)).toMatchObject(queued)
    const duplicate = { status: 202, body: { status: 'duplicate', duplicate: true } }
    expect(await bench.client.call('followUp', request)).toMatchObject(duplicate)
    expect((await bench.client.call('getQueue', { params: { id } })).body).toMatchObject({ followup: { depth: 1 } })
  })
})

describe('A stop', () => {
  it('answers with the run as it ended, and who asked', async () => {
    await using bench = await Bench.open()
    const { id, runId } = await bench.running('gated')
    const body = { run_id: runId, reason: 'enough' }
    const run = { status: 'canceled', canceled: { by: 'client', reason: 'enough' } }
    expect(await bench.client.call('cancelRun', { params: { id }, body })).toMatchObject({ status: 200, body: { run } })
    expect(await bench.client.call('cancelRun', { params: { id }, body })).toMatchObject({ status: 200, body: { run } })
    expect((await bench.client.call('cancelRun', { params: { id } })).body).not.toHaveProperty('run')
  })
})

describe('A probe', () => {
  it('answers while the server starts', async () => {
    await using bench = await Bench.open({ started: false })
    expect((await bench.client.call('health')).body).toEqual({ status: 'ok', version: '1.2.3' })
    expect(await bench.client.call('ready')).toMatchObject({
      status: 503,
      body: { ready: false, store_connected: false },
    })
    await bench.manager.start()
    expect(await bench.client.call('ready')).toMatchObject({ status: 200, body: { ready: true, active_sessions: 0 } })
  })

  it('says that the server drains', async () => {
    await using bench = await Bench.open()
    await bench.manager.drain(0)
    expect(await bench.client.call('ready')).toMatchObject({
      status: 503,
      body: { ready: false, store_connected: true },
    })
    expect(await bench.client.call('createSession', { body: {} })).toMatchObject({ status: 503, code: 'shutting_down' })
  })
})

describe('The OpenAPI document', () => {
  it('has an operation for every endpoint', async () => {
    await using bench = await Bench.open()
    const Document = z.looseObject({
      paths: z.record(z.string(), z.record(z.string(), z.looseObject({ operationId: z.string() }))),
    })
    const { paths } = Document.parse((await bench.client.call('openApi')).body)
    const operations = Object.values(paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId))
    expect(operations.sort()).toEqual(Object.keys(endpoints).sort())
    expect(paths['/api/sessions/{id}/status']?.get).toMatchObject({
      parameters: [
        { name: 'id', in: 'path' },
        { name: 'wait', in: 'query', schema: { type: 'string' } },
      ],
      responses: { 200: {}, 404: { description: expect.stringContaining('session_not_running') } },
    })
  })
})
