import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { endpointNames, endpoints } from '../../src/protocol/protocol.ts'
import { makeTempDir } from '../store/temp-dir.ts'
import { DamagedHouse, type Kind, openDamaged, overwrite, sessionReads, textsOf } from './damaged-house.ts'

const json = { accept: 'application/json' }
const Coded = z.object({ code: z.string(), details: z.array(z.object({ path: z.string(), message: z.string() })) })
const Gapped = z.object({ gap: z.object({ reason: z.string() }), events: z.array(z.looseObject({ seq: z.number() })) })

const { path: dir, remove } = makeTempDir()
let house: DamagedHouse
beforeAll(async () => {
  house = await DamagedHouse.build(dir)
})
afterAll(remove)

const Gapless = z.object({ events: z.array(z.object({ seq: z.number() })), next_since: z.number() })

/** A database in which all rows of a kind are damaged that belong to a session. */
async function damaged(kind: Kind, of: (ids: DamagedHouse['ids']) => string | undefined, text = '{"broken') {
  const path = house.copy()
  const session = of(house.ids)
  const rows = textsOf(path).filter((row) => row.kind === kind && row.session === session)
  expect(rows).not.toEqual([])
  overwrite(
    path,
    rows.map((row) => ({ ...row, text })),
  )
  return { ids: house.ids, path, rows, ...(await openDamaged(path)) }
}

describe('A session whose record cannot be read', () => {
  it.each(['{"broken', '{}', 'null', '[]', ''])('refuses every route with one code: %j', async (text) => {
    const { bench, ids, told } = await damaged('sessions', (all) => all.rested, text)
    for (const name of endpointNames.filter((one) => endpoints[one].path.startsWith('/api/sessions/:id'))) {
      if (name === 'deleteSession') continue
      const { method } = endpoints[name]
      const body = method === 'GET' ? undefined : { agent: 'echo', messages: [{ content: 'x' }], message: {} }
      const answer = await bench.client.open(name, { params: { id: ids.rested }, body, headers: json })
      if (answer.status === 400) continue
      const told = Coded.parse(await answer.json())
      expect({ name, status: answer.status, ...told }).toMatchObject({
        name,
        status: 422,
        code: 'session_damaged',
        details: [{ path: 'stored.session' }],
      })
    }
    expect(told).toEqual([{ session_id: ids.rested, what: 'session', reason: expect.any(String) }])
  })

  it('is listed with a mark, and can be deleted, also with a key (S9)', async () => {
    const { bench, ids } = await damaged('sessions', (all) => all.rested)
    const listed = await bench.client.call('listSessions')
    expect(listed.body).toContainEqual(expect.objectContaining({ id: ids.rested, damaged: true, num_messages: 0 }))
    expect(listed.body).toContainEqual(expect.objectContaining({ id: ids.other, num_messages: 2 }))
    const request = { params: { id: ids.rested }, headers: { 'idempotency-key': 'gone' } }
    for (const replayed of [null, 'true']) {
      const { status, headers } = await bench.client.call('deleteSession', request)
      expect({ status, replayed: headers.get('idempotency-replayed') }).toEqual({ status: 200, replayed })
    }
    expect((await bench.client.call('getSession', { params: { id: ids.rested } })).code).toBe('unknown_session')
    expect((await bench.client.call('listSessions')).body).not.toContainEqual(
      expect.objectContaining({ id: ids.rested }),
    )
  })

  it('is passed over in its place above, and takes what is below along when it goes', async () => {
    const below = await damaged('sessions', (all) => all.child)
    const { body } = await below.bench.client.call('getSession', { params: { id: below.ids.parent } })
    expect(JSON.stringify(body)).toContain('well done')
    const { body: children } = await below.bench.client.call('listChildren', { params: { id: below.ids.parent } })
    expect(children).toEqual([expect.objectContaining({ id: below.ids.child, damaged: true })])
    const above = await damaged('sessions', (all) => all.parent)
    const child = { params: { id: above.ids.child } }
    expect((await above.bench.client.call('getSession', child)).code).toBe('session_damaged')
    await above.bench.client.call('batchDelete', { body: { session_ids: [above.ids.parent] } })
    expect((await above.bench.client.call('getSession', child)).code).toBe('unknown_session')
  })

  it('is missing in an export of several', async () => {
    const { bench, ids } = await damaged('sessions', (all) => all.rested)
    const { body } = await bench.client.call('batchExport', { body: { session_ids: [ids.rested, ids.other] } })
    expect(body).toMatchObject({ session_count: 1, missing_ids: [ids.rested] })
  })
})

describe('A server with a damaged session', () => {
  it.each(['runs', 'inputs', 'requests', 'events', 'items', 'fleet', 'sessions'] as const)(
    'starts when what a run has left is damaged in %s, and lets every other session go on',
    async (kind) => {
      const owner = kind === 'requests' ? 'asking' : 'running'
      const { bench, ids } = await damaged(kind, (all) => all[owner])
      const params = { id: ids.rested }
      expect((await bench.client.call('getSession', { params })).status).toBe(200)
      const run = { params, body: { agent: 'echo', messages: [{ content: 'again' }] } }
      expect((await bench.client.call('startRun', run)).status).toBe(202)
      for (const name of sessionReads) {
        const answer = await bench.client.open(name, { params: { id: ids[owner] }, headers: json })
        expect({ name, status: answer.status }).not.toMatchObject({ status: 500 })
        expect({ name, status: answer.status }).not.toMatchObject({ status: 503 })
      }
      expect((await bench.client.call('deleteSession', { params: { id: ids[owner] } })).status).toBe(200)
      expect((await bench.client.call('getSession', { params: { id: ids[owner] } })).code).toBe('unknown_session')
    },
  )

  it('lets retention go on, which removes nothing that cannot be read', async () => {
    for (const kind of ['runs', 'inputs', 'requests', 'sessions', 'fleet', 'fleet_events', 'events'] as const) {
      const { bench, ids, path, told } = await damaged(kind, (all) =>
        kind === 'fleet_events' ? undefined : all.rested,
      ).catch(() => damaged(kind, (all) => (kind === 'inputs' ? all.running : all.asking)))
      await bench.manager.retain()
      expect(textsOf(path).some(({ session }) => session === ids.rested)).toBe(true)
      expect(told.filter((one) => one instanceof Error && !('code' in one))).toEqual([])
    }
  })

  it('deletes a session of which nobody knows any more how it was shown, and tells it', async () => {
    const { bench, ids } = await damaged('fleet', (all) => all.rested)
    expect((await bench.client.call('getFleetSnapshot')).body).not.toMatchObject({
      sessions: expect.arrayContaining([expect.objectContaining({ id: ids.rested })]),
    })
    const since = String(bench.manager.lastFleetSeq)
    await bench.client.call('deleteSession', { params: { id: ids.rested } })
    const { body } = await bench.client.call('getFleetEvents', { query: { since, children: 'true' }, headers: json })
    expect(JSON.stringify(body)).toContain('"session_deleted"')
  })
})

describe('A log of which something cannot be read', () => {
  it.each(['id: x', 'no frame at all', '', 'id: 1\ndata: {"type":"a"'])('tells a gap: %j', async (text) => {
    const { bench, ids, rows } = await damaged('events', (all) => all.rested, text)
    const { body } = await bench.client.call('getEvents', { params: { id: ids.rested }, headers: json })
    expect(rows.length).toBeGreaterThan(0)
    if (text !== '') expect(Gapped.parse(body)).toMatchObject({ gap: { reason: 'damaged' }, events: [] })
    const stream = await bench.client.call('getEvents', { params: { id: ids.rested }, query: { follow: 'false' } })
    if (text !== '') expect(String(stream.body)).toContain('"reason":"damaged"')
  })

  it('shows what comes before and after', async () => {
    const path = house.copy()
    const id = house.ids.rested
    const rows = textsOf(path).filter((one) => one.kind === 'events' && one.session === id)
    const middle = rows.at(2)
    expect(rows.length).toBeGreaterThan(3)
    overwrite(path, middle === undefined ? [] : [{ ...middle, text: middle.text.replace('id: ', 'xx: ') }])
    const { bench } = await openDamaged(path)
    const first = Gapless.parse((await bench.client.call('getEvents', { params: { id }, headers: json })).body)
    const before = first.next_since
    expect(first.events.map(({ seq }) => seq)).toEqual(Array.from({ length: before }, (_, place) => place + 1))
    const query = { since: String(before) }
    const { body } = await bench.client.call('getEvents', { params: { id }, query, headers: json })
    expect(body).toMatchObject({ gap: { requested: before, oldest: before + 2, reason: 'damaged' } })
    expect(Gapless.parse(body).events.at(0)?.seq).toBe(before + 2)
  })

  it('tells a gap in pages where the JSON of an event is damaged', async () => {
    const path = house.copy()
    const id = house.ids.rested
    const rows = textsOf(path).filter((one) => one.kind === 'events' && one.session === id)
    overwrite(
      path,
      rows.map((row) => ({ ...row, text: row.text.replaceAll('"type"', '"tipe"') })),
    )
    const { bench } = await openDamaged(path)
    const { body } = await bench.client.call('getEvents', { params: { id }, headers: json })
    expect(body).toMatchObject({ events: [], gap: { reason: 'damaged' } })
  })
})

describe('A key whose record cannot be read', () => {
  it('is refused, and nothing is done again', async () => {
    const { bench, ids } = await damaged('idempotency_keys', () => undefined)
    const body = { agent: 'echo', messages: [{ content: 'hello' }] }
    const again = await bench.client.call('startRun', {
      params: { id: ids.rested },
      body,
      headers: { 'idempotency-key': 'once' },
    })
    expect(again).toMatchObject({ status: 409, code: 'idempotency_mismatch' })
  })
})
