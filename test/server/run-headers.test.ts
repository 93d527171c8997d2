import { describe, expect, it } from 'vitest'
import type { RunContext } from '../../src/runtime/runtime.ts'
import { Bench, type BenchOptions } from './bench.ts'

/** A bench whose agent `curious` keeps what its runs were given, which no real one does. */
async function open(options: BenchOptions = {}) {
  const bench = await Bench.open(options)
  const seen: RunContext['headers'][] = []
  const { promise: second, resolve } = Promise.withResolvers<void>()
  bench.agents.scripts.curious = async function* ({ headers, takeFollowUp }) {
    if (seen.push(headers) === 2) resolve()
    while (takeFollowUp() !== undefined);
    yield { type: 'agent_choice', content: 'seen', agent_name: 'root' }
    return 'normal'
  }
  return { bench, seen, second }
}

const sent = {
  'X-Tenant': 'Acme',
  cookie: 'a=b',
  'proxy-authorization': 'Basic eA==',
}
const body = { messages: [{ content: 'go' }] }

describe('The headers of a run request', () => {
  it.each(['streamRun', 'streamNamedRun', 'startRun'] as const)('reach the run of %s', async (endpoint) => {
    const { bench, seen } = await open()
    await using _ = bench
    const id = await bench.session()
    const request = endpoint === 'startRun' ? { ...body, agent: 'curious' } : body
    const params = { id, agent: 'curious', agent_name: 'root' }
    await bench.client.call(endpoint, { params, body: request, headers: { ...sent, authorization: 'Bearer theirs' } })
    await bench.manager.waitStopped(id, 60_000)
    expect(seen).toEqual([
      expect.objectContaining({ 'x-tenant': 'Acme', authorization: 'Bearer theirs', cookie: 'a=b' }),
    ])
    for (const name of ['proxy-authorization', 'connection']) expect(seen[0]).not.toHaveProperty(name)
  })

  it('do not hold what opens the server, where it asks for a token', async () => {
    const authorization = 'Bearer secret-Token'
    const { bench, seen } = await open({ server: { authToken: 'secret-Token' }, headers: { authorization } })
    await using _ = bench
    const id = await bench.session()
    await bench.client.call('startRun', {
      params: { id },
      body: { ...body, agent: 'curious' },
      headers: sent,
    })
    await bench.manager.waitStopped(id, 60_000)
    expect(seen[0]).toMatchObject({ 'x-tenant': 'Acme' })
    expect(JSON.stringify(seen)).not.toMatch(/secret-Token|a=b/)
  })

  it('are not there for a run that the queue starts, and are kept nowhere', async () => {
    const { bench, seen, second } = await open()
    await using _ = bench
    const id = await bench.session()
    const params = { id }
    await bench.client.call('startRun', { params, body: { ...body, agent: 'curious' }, headers: sent })
    await bench.manager.waitStopped(id, 60_000)
    await bench.client.call('followUp', { params, body: { messages: [{ content: 'more' }] }, headers: sent })
    await second
    expect(seen[1]).toEqual({})
    await bench.manager.waitStopped(id, 60_000)
    const log = await bench.client.call('getEvents', { params, headers: { accept: 'application/json' } })
    const session = await bench.client.call('getSession', { params })
    expect(JSON.stringify([log.body, session.body])).not.toContain('Acme')
  })
})
