import { describe, expect, it } from 'vitest'
import { type Endpoint, type EndpointName, endpointNames, endpoints, isMutation } from '../../src/protocol/protocol.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import type { Change, Group, Store } from '../../src/store/store.ts'
import { Bench } from './bench.ts'
import type { Answer, Request } from './client.ts'
import { requests } from './outcomes.ts'

const mutations = endpointNames.filter((name) => isMutation(endpoints[name]))

/** What is answered from the session as it is now, and so not when that is gone. */
const needsSession: readonly EndpointName[] = ['streamRun', 'streamNamedRun', 'cancelRun']
/** What is never refused for want of room. */
const alwaysTaken: readonly EndpointName[] = ['deleteSession', 'batchDelete', 'cancelRun']

describe('A mutation with an idempotency key', () => {
  it.each(mutations)('is answered again as before: %s (M5)', async (name) => {
    await using bench = await Bench.open()
    const request = keyed(await requests[name](bench))
    const first = await bench.client.call(name, request)
    expect([first.code, first.headers.get('idempotency-replayed')]).toEqual([undefined, null])
    const again = await bench.client.call(name, turned(request))
    expect(told(again)).toEqual(name === 'followUp' ? duplicate : told(first))
    expect(again.headers.get('idempotency-replayed')).toBe('true')
  })

  it.each(mutations)('is answered again when its session has gone: %s (M5)', async (name) => {
    await using bench = await Bench.open()
    const request = keyed(await requests[name](bench))
    const first = await bench.client.call(name, request)
    for (const { id } of bench.manager.getSessions({ limit: 1000 }).entries) await bench.manager.deleteSession(id)
    const again = await bench.client.call(name, request)
    if (needsSession.includes(name)) expect(again.code).toBe('unknown_session')
    else expect(told(again)).toEqual(name === 'followUp' ? duplicate : told(first))
  })

  it.each(mutations)('is stored with its effect in one commit, and once: %s (M5)', async (name) => {
    const { store, groups } = watched(createMemoryStore())
    await using bench = await Bench.open({ store })
    const request = keyed(await requests[name](bench))
    groups.length = 0
    await bench.client.call(name, request)
    const [commit] = groups.filter(({ changes }) => changes.some(isKey))
    const kinds = commit?.changes.map(({ kind }) => kind)
    const effects = expect.stringMatching(/^(?!key|events)/)
    expect(kinds, 'what is committed with the key').toEqual(expect.arrayContaining([effects, 'key.put']))
    groups.length = 0
    await bench.client.call(name, request)
    expect(groups.flatMap(({ changes }) => changes).filter(isKey), 'what a repeat commits').toEqual([])
  })

  it.each(mutations)('is carried out once when it comes twice at once: %s (M5)', async (name) => {
    await using bench = await Bench.open()
    const request = keyed(await requests[name](bench))
    const both = await Promise.all([bench.client.call(name, request), bench.client.call(name, request)])
    expect(both.map(({ headers }) => headers.get('idempotency-replayed')).toSorted()).toEqual([null, 'true'])
    const [one, other] = both.map(told)
    if (name === 'followUp') expect([one, other]).toContainEqual(duplicate)
    else expect(one).toEqual(other)
  })

  it.each(mutations)('leaves the key free when it is refused: %s (M5)', async (name) => {
    await using bench = await Bench.open()
    const request = keyed(await requests[name](bench))
    const fault = alwaysTaken.includes(name) ? 'unavailable' : 'full'
    bench.breakStore(fault)
    expect((await bench.client.call(name, request)).status).toBe(503)
    bench.breakStore(undefined)
    const { code, headers } = await bench.client.call(name, request)
    expect([code, headers.get('idempotency-replayed')]).toEqual([undefined, null])
  })
})

describe('A repeat', () => {
  it('of a run is a reader from its first event, whose leaving stops nothing', async () => {
    await using bench = await Bench.open()
    const id = await bench.session()
    const request = keyed({
      params: { id, agent: 'gated' },
      query: { on_disconnect: 'cancel' },
      body: { messages: [] },
    })
    for (const isRepeat of [false, true, true]) {
      const leave = new AbortController()
      const left = bench.nextClose()
      const response = await bench.client.open('streamRun', request, leave.signal)
      expect(response.headers.get('idempotency-replayed')).toBe(isRepeat ? 'true' : null)
      await response.body?.getReader().read()
      leave.abort()
      await left
    }
    const repeat = bench.client.call('streamRun', request)
    bench.agents.openGate()
    const { body } = await repeat
    const seqs = [...String(body).matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq))
    expect(seqs).toEqual(seqs.map((_, place) => place + 1))
    expect(String(body)).toContain('"reason":"normal"')
    const runs = await bench.client.call('listRuns', { params: { id } })
    expect(runs.body).toMatchObject([{ status: 'completed', last_seq: seqs.length }])
  })

  it('of a stop stops no other run, and waits for the one that was stopped', async () => {
    await using bench = await Bench.open()
    const { id, runId } = await bench.running('stubborn')
    const request = keyed({ params: { id }, query: { wait: '1ms' } })
    expect(await bench.client.call('cancelRun', request)).toMatchObject({
      status: 202,
      body: { run: { run_id: runId } },
    })
    const patient = bench.client.call('cancelRun', { ...request, query: { wait: '1m' } })
    bench.agents.openGate()
    expect(await patient).toMatchObject({ status: 200, body: { run: { run_id: runId, status: 'canceled' } } })
    const idle = await bench.session()
    const early = keyed({ params: { id: idle } })
    expect((await bench.client.call('cancelRun', early)).body).toEqual({ message: 'no run goes on' })
    const messages = [{ content: 'go' }]
    await bench.client.call('startRun', { params: { id: idle }, body: { agent: 'asker', messages } })
    expect((await bench.client.call('cancelRun', early)).body).toEqual({ message: 'no run goes on' })
    expect((await bench.client.call('getStatus', { params: { id: idle } })).body).toMatchObject({ streaming: true })
  })

  it('of a deletion waits for the run again', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('stubborn')
    const request = keyed({ params: { id }, query: { wait: 'true', timeout: '1ms' } })
    expect((await bench.client.call('deleteSession', request)).status).toBe(202)
    const patient = bench.client.call('deleteSession', { ...request, query: { wait: 'true', timeout: '1m' } })
    bench.agents.openGate()
    expect(await patient).toMatchObject({ status: 200, body: { message: 'session deleted' } })
  })

  it('of a fork shows the fork as it was made', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    await bench.manager.addMessage(id, { agent_name: '', message: { role: 'user', content: 'again' } })
    const request = keyed({ params: { id }, body: { user_message_index: 1 } })
    const { body } = await bench.client.call('forkSession', request)
    const fork = Object(body).id
    expect((await bench.client.call('getSession', { params: { id: fork } })).body).toEqual(body)
    await bench.manager.updateSessionTitle(fork, 'another')
    await bench.manager.addMessage(fork, { agent_name: '', message: { role: 'user', content: 'more' } })
    expect((await bench.client.call('forkSession', request)).body).toEqual(body)
  })

  it('of a change of the budget that let a session go on starts no other run', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran('spender')
    const request = keyed({ params: { id }, body: { max_cost: 100 } })
    const first = await bench.client.call('setBudget', request)
    expect(first.body).toMatchObject({ run_id: expect.any(String) })
    await bench.manager.waitStopped(id, 60_000)
    expect((await bench.client.call('setBudget', request)).body).toEqual(first.body)
    expect((await bench.client.call('listRuns', { params: { id } })).body).toHaveLength(2)
  })
})

describe('An idempotency key', () => {
  it.each(['', 'two words', 'x'.repeat(256), 'ü'])('that is "%s" is refused', async (key) => {
    await using bench = await Bench.open()
    const answer = await bench.client.call('createSession', { headers: { 'idempotency-key': key } })
    expect(answer).toMatchObject({ code: 'invalid_request', body: { details: [{ path: 'headers.idempotency-key' }] } })
  })

  it('may be as long as 255 characters', async () => {
    await using bench = await Bench.open()
    const request = { headers: { 'idempotency-key': '~'.repeat(255) } }
    const first = await bench.client.call('createSession', request)
    expect((await bench.client.call('createSession', request)).body).toEqual(first.body)
  })

  it('means nothing to what changes nothing', async () => {
    await using bench = await Bench.open()
    const request = keyed({ body: { session_ids: [await bench.session()] } })
    const answers = [await bench.client.call('batchExport', request), await bench.client.call('batchExport', request)]
    expect(answers.map(({ code, headers }) => [code, headers.get('idempotency-replayed')])).toEqual([
      [undefined, null],
      [undefined, null],
    ])
  })

  it('is one of a route and a session', async () => {
    await using bench = await Bench.open()
    const ids = [await bench.session(), await bench.session()]
    for (const id of ids) {
      const params = { id }
      for (const [name, body] of [
        ['setTitle', { title: 'x' }],
        ['setStarred', { starred: true }],
      ] as const) {
        const { code, headers } = await bench.client.call(name, keyed({ params, body }))
        expect([code, headers.get('idempotency-replayed')]).toEqual([undefined, null])
      }
    }
  })

  it('is one of a token, of which nothing is stored but a fingerprint', async () => {
    const { store, groups } = watched(createMemoryStore())
    const lasting: Store = new Proxy(store, {
      get: (target, name) => (name === 'close' ? async () => {} : Reflect.get(target, name)),
    })
    const replayed: (string | null)[] = []
    for (const token of ['token-one', 'token-two', 'token-one', undefined, undefined]) {
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
      await using bench = await Bench.open({ store: lasting, headers, server: { authToken: token } })
      replayed.push((await bench.client.call('createSession', keyed({}))).headers.get('idempotency-replayed'))
    }
    expect(replayed).toEqual([null, null, 'true', null, 'true'])
    expect(JSON.stringify(groups)).not.toContain('token-')
  })

  it('is compared with path, query and body, but not with how the client waits', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const [one, two] = (await bench.manager.getMessages(id, { limit: 2, from: 0 })).messages
    const body = { message: { agent_name: '', message: { role: 'user', content: 'changed' } } }
    const update = (message: typeof one, more: Request = {}) =>
      bench.client.call('updateMessage', keyed({ params: { id, msg_id: message?.id ?? '' }, body, ...more }))
    expect((await update(one)).code).toBeUndefined()
    expect((await update(two)).code).toBe('idempotency_mismatch')
    expect((await update(one, { query: { wait: '1s' } })).headers.get('idempotency-replayed')).toBe('true')
    expect((await update(one, { query: { force: '1' } })).code).toBe('idempotency_mismatch')
    const other = { message: { agent_name: '', message: { role: 'user', content: 'changed again' } } }
    expect((await update(one, { body: other })).code).toBe('idempotency_mismatch')
  })

  it('is forgotten when its time has passed', async () => {
    await using bench = await Bench.open({ manager: { idempotencyRetentionMs: -1 } })
    const ids = [await create(bench), await create(bench)]
    expect(new Set(ids).size).toBe(2)
  })

  it('may be sent, and its answer seen, by pages of other origins', async () => {
    await using bench = await Bench.open({ server: { corsOrigins: ['https://app.example'] } })
    const preflight = await fetch(`${bench.client.url}/api/sessions`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'idempotency-key',
      },
    })
    expect(preflight.headers.get('access-control-allow-headers')).toContain('idempotency-key')
    const { headers } = await bench.client.call('createSession', keyed({ headers: { origin: 'https://app.example' } }))
    expect(headers.get('access-control-expose-headers')).toContain('idempotency-replayed')
  })

  it('is in the description of every route that changes something', async () => {
    await using bench = await Bench.open()
    const { paths } = Object((await bench.client.call('openApi')).body)
    for (const name of endpointNames) {
      const { method, path }: Endpoint = endpoints[name]
      const operation = paths[path.replaceAll(/:(\w+)/g, '{$1}')][method.toLowerCase()]
      const names = operation.parameters.map((parameter: { name: string }) => parameter.name)
      expect(names.includes('Idempotency-Key'), name).toBe(mutations.includes(name))
    }
  })
})

const duplicate = { status: 202, body: { status: 'duplicate', duplicate: true } }

async function create(bench: Bench): Promise<unknown> {
  return Object((await bench.client.call('createSession', keyed({}))).body).id
}

function keyed(request: Request): Request {
  return { ...request, headers: { ...request.headers, 'idempotency-key': 'a-key' } }
}

/** The same request with its body the other way round, and with nulls that say nothing. */
function turned({ body, ...request }: Request): Request {
  if (body === undefined) return request
  return { ...request, body: { nothing: null, ...Object.fromEntries(Object.entries(Object(body)).reverse()) } }
}

/** What counts of an answer: of a stream its frames, without the comments between them. */
function told({ status, body }: Answer): unknown {
  return { status, body: typeof body === 'string' ? body.match(/^(id|data): .*$/gm) : body }
}

function isKey({ kind }: Change): boolean {
  return kind === 'key.put'
}

/** A store, and the groups that were handed over to it. */
function watched(inner: Store): { readonly store: Store; readonly groups: Group[] } {
  const groups: Group[] = []
  const store = new Proxy(inner, {
    get: (target, name) => {
      if (name !== 'write') {
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
      return (group: Group) => {
        groups.push(group)
        return target.write(group)
      }
    },
  })
  return { store, groups }
}
