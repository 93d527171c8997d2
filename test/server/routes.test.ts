import { describe, expect, it } from 'vitest'
import {
  type Endpoint,
  type EndpointName,
  type ErrorCode,
  endpointNames,
  endpoints,
} from '../../src/protocol/protocol.ts'
import { Bench, type BenchOptions } from './bench.ts'
import { nameOf, type Outcome, outcomesOf, type Request } from './client.ts'
import { impossible, requests, special } from './outcomes.ts'

const expected = endpointNames
  .flatMap(outcomesOf)
  .filter(({ endpoint, code }) => code === undefined || impossible[code]?.includes(endpoint) !== true)

const having = (code: ErrorCode): readonly Outcome[] => expected.filter((outcome) => outcome.code === code)

/** What all endpoints of a kind refuse: how the bench is, what happens first, and how a request becomes one that is refused. */
interface Refused {
  readonly code: ErrorCode
  readonly bench?: BenchOptions
  /** Requests are made as they would succeed, before the bench is spoilt; else they are empty. */
  readonly arranged?: true
  /** Requests are sent as they are first, with this key, and again with it after their change. */
  readonly key?: string
  readonly spoil?: (bench: Bench) => void
  readonly change?: (request: Request, endpoint: Endpoint) => Request
}

const general: readonly Refused[] = [
  { code: 'unauthorized', bench: { server: { authToken: 'secret' } } },
  { code: 'forbidden_origin', change: (request) => ({ ...request, headers: { origin: 'https://evil.example' } }) },
  { code: 'starting', bench: { started: false } },
  {
    code: 'unknown_session',
    arranged: true,
    change: ({ params, ...rest }) => ({ ...rest, params: { ...params, id: 'none' } }),
  },
  {
    code: 'session_damaged',
    arranged: true,
    spoil: (bench) => bench.breakStore('damaged'),
    // A session that is loaded is not read.
    change: ({ params, ...rest }) => ({ ...rest, params: { ...params, id: 'stored' } }),
  },
  { code: 'store_unavailable', arranged: true, spoil: (bench) => bench.breakStore('unavailable') },
  { code: 'overloaded', arranged: true, spoil: (bench) => bench.breakStore('full') },
  {
    code: 'internal',
    arranged: true,
    spoil: (bench) => {
      bench.breakStore('defect')
      bench.agents.fault = new Error('the agents are on fire')
    },
    // A session that is not loaded must be read.
    change: ({ params, ...rest }) => ({ ...rest, params: { ...params, id: 'stored' } }),
  },
  {
    code: 'invalid_request',
    change: (_, { body }) =>
      body === undefined ? { headers: { 'idempotency-key': 'two words' } } : { body: '{"broken' },
  },
  {
    code: 'idempotency_mismatch',
    arranged: true,
    key: 'used',
    change: (request) => ({ ...request, query: { ...request.query, other: 'payload' } }),
  },
  { code: 'unsupported_media_type', change: () => ({ body: '{}', headers: { 'content-type': 'plain' } }) },
  { code: 'request_too_large', change: () => ({ body: JSON.stringify('x'.repeat(1024 * 1024)) }) },
]

const isGeneral = ({ code, endpoint }: Outcome): boolean =>
  code === 'shutting_down' ||
  (code !== undefined &&
    general.some((row) => row.code === code) &&
    !special.some((row) => row.endpoint === endpoint && row.code === code))

const covered = new Set([
  ...special.map(nameOf),
  ...expected.filter(isGeneral).map(nameOf),
  ...endpointNames.map((endpoint) => nameOf({ endpoint, status: firstStatus(endpoint) })),
])

function firstStatus(name: EndpointName): number {
  return Math.min(...Object.keys(endpoints[name].answers).map(Number))
}

describe('The table of endpoints', () => {
  it('has a case for everything that it says an endpoint answers', () => {
    expect(expected.map(nameOf).filter((name) => !covered.has(name))).toEqual([])
  })

  it('says everything that there is a case for', () => {
    const said = new Set(expected.map(nameOf))
    expect([...covered].filter((name) => !said.has(name))).toEqual([])
  })
})

describe('Every endpoint succeeds', () => {
  it.each(endpointNames)('answers %s', async (name) => {
    await using bench = await Bench.open()
    const { status, code, body } = await bench.client.call(name, await requests[name](bench))
    expect({ status, code }, JSON.stringify(body)).toEqual({ status: firstStatus(name), code: undefined })
  })
})

describe('Every endpoint answers what only some do', () => {
  it.each(special.map((row) => [nameOf(row), row] as const))('answers %s', async (_, row) => {
    await using bench = await Bench.open(row.bench)
    const { status, code } = await bench.client.call(row.endpoint, await row.arrange(bench))
    expect({ status, code }).toEqual({ status: row.status, code: row.code })
  })
})

describe.each(general)(
  'Every endpoint refuses with $code',
  ({ code, bench: options, arranged, key, spoil, change }) => {
    it('where the table says so', async () => {
      const outcomes = having(code).filter(isGeneral)
      expect(outcomes).not.toEqual([])
      for (const { endpoint, status } of outcomes) {
        await using bench = await Bench.open(options)
        const headers = key === undefined ? {} : { headers: { 'idempotency-key': key } }
        const request = { ...(arranged === true ? await requests[endpoint](bench) : {}), ...headers }
        if (key !== undefined) await bench.client.call(endpoint, request)
        spoil?.(bench)
        const answer = await bench.client.call(endpoint, change?.(request, endpoints[endpoint]) ?? request)
        expect({ endpoint, status: answer.status, code: answer.code }).toEqual({ endpoint, status, code })
      }
    })
  },
)

describe('A server that closes', () => {
  it('refuses everything but probes with shutting_down', async () => {
    const held = Promise.withResolvers<void>()
    await using bench = await Bench.open({
      server: { closeGraceMs: 60_000 },
      prepare: (app) => app.addHook('preClose', () => held.promise),
    })
    using _ = { [Symbol.dispose]: () => held.resolve() }
    const closed = bench.app.close()
    for (const { endpoint, status, code } of having('shutting_down')) {
      const answer = await bench.client.call(endpoint)
      expect({ endpoint, status: answer.status, code: answer.code }).toEqual({ endpoint, status, code })
    }
    expect((await bench.client.call('health')).status).toBe(200)
    held.resolve()
    await closed
  })
})
