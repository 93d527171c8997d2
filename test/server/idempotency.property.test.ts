import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { EndpointName } from '../../src/protocol/protocol.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import { Random } from '../crash/random.ts'
import { newSeed } from '../session-manager/house.ts'
import { tempDir } from '../store/temp-dir.ts'
import { Bench } from './bench.ts'
import { Client, type Request } from './client.ts'
import { type DoublingProxy, doublingProxy, troubles } from './doubling-proxy.ts'
import { MutationScript, type World } from './mutation-script.ts'

const scripts = 3
const steps = 30

const shown = [
  'getSession',
  'getSnapshot',
  'getStatus',
  'getRecovery',
  'listMessages',
  'listRuns',
  'getQueue',
  'listRequests',
  'listChildren',
] as const satisfies readonly EndpointName[]

describe('A client whose requests are doubled, delayed and lost', () => {
  const seed = newSeed('mutations behind a proxy')

  it.each(Array.from({ length: scripts }, (_, place) => seed + place))(
    'finds what a client without trouble finds when it repeats them with their keys: seed %d (M5)',
    { timeout: 600_000 },
    async (number) => {
      const clean = await cleanRun(number)
      const { state, proxy, restarts } = await troubledRun(number)
      expect(state).toEqual(clean)
      for (const trouble of troubles) expect(proxy.met[trouble], trouble).toBeGreaterThan(0)
      expect(restarts).toBeGreaterThan(0)
    },
  )
})

async function cleanRun(seed: number): Promise<unknown> {
  await using bench = await Bench.open()
  const script = new MutationScript(
    new Random(seed),
    worldOf(() => bench, bench.client.call.bind(bench.client)),
  )
  await script.play(steps)
  return await stateOf(bench, script.ids)
}

/** The same script through the proxy, each request with a key, over a database and processes that come and go. */
async function troubledRun(seed: number): Promise<{ state: unknown; proxy: DoublingProxy; restarts: number }> {
  const random = new Random(seed ^ 0x5eed)
  const path = join(tempDir(), 'test.db')
  const open = () => Bench.open({ store: createSqliteStore({ path }) })
  let bench = await open()
  let restarts = 0
  const restart = async (): Promise<void> => {
    await bench[Symbol.asyncDispose]()
    bench = await open()
    restarts += 1
  }
  await using proxy = await doublingProxy(
    () => bench.client.url,
    () => random.pick(troubles) ?? 'none',
  )
  const client = new Client(proxy.url)
  let key = 0
  const call: World['call'] = async (name, request) => {
    key += 1
    const keyed: Request = { ...request, headers: { 'idempotency-key': `key-${key}` } }
    for (;;) {
      const answer = await client.call(name, keyed).catch((failure: unknown) => {
        if (!(failure instanceof TypeError)) throw failure
      })
      if (random.chance(0.3)) await proxy.deliver()
      if (answer !== undefined) return answer
      // What goes on now would end with its process.
      if (random.chance(0.2) && bench.manager.readiness.active_sessions === 0) await restart()
    }
  }
  try {
    const script = new MutationScript(
      new Random(seed),
      worldOf(() => bench, call),
    )
    await script.play(steps)
    await restart()
    await proxy.deliver()
    return { state: await stateOf(bench, script.ids), proxy, restarts }
  } finally {
    await bench[Symbol.asyncDispose]()
  }
}

function worldOf(bench: () => Bench, call: World['call']): World {
  return {
    call,
    rest: async (id) => {
      expect(await bench().manager.waitStopped(id, 60_000)).toBe(true)
    },
    asked: async (id) => {
      const query = { types: 'request_opened', wait: '1m', since: '0' }
      for (;;) {
        const { client } = bench()
        const { body } = await client.call('listRequests', { params: { id } })
        if (Array.isArray(body) && body.length > 0) return
        await client.call('getEvents', { params: { id }, query, headers: { accept: 'application/json' } })
      }
    },
  }
}

/** All that a client can see, with ids and times that are the same for every server. */
async function stateOf({ client, manager }: Bench, ids: readonly string[]): Promise<unknown> {
  const state: unknown[] = []
  for (const id of ids) {
    await manager.waitStopped(id, 60_000)
    const params = { id }
    for (const name of shown) {
      const { status, body } = await client.call(name, { params })
      state.push([name, status, body])
    }
    const headers = { accept: 'application/json' }
    const { body } = await client.call('getEvents', { params, query: { since: '0', limit: '1000' }, headers })
    state.push(body)
  }
  const { body } = await client.call('listSessions')
  return JSON.parse(nameless(JSON.stringify([...state, body])))
}

function nameless(text: string): string {
  const names = new Map<string, string>()
  const nameOf = (id: string): string => {
    const name = names.get(id) ?? `id ${names.size}`
    names.set(id, name)
    return name
  }
  return text.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'time').replaceAll(/[0-9A-HJKMNP-TV-Z]{26}/g, nameOf)
}
