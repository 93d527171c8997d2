import { describe, expect, it } from 'vitest'
import { FleetPage, FleetSnapshot } from '../../src/protocol/protocol.ts'
import { patience } from '../patience.ts'
import { Bench } from './bench.ts'
import { all, eventsOf, isOfType, until } from './frames.ts'

const json = { accept: 'application/json' }

async function page(bench: Bench, query: Record<string, string>): Promise<FleetPage> {
  const { body } = await bench.client.call('getFleetEvents', { query, headers: json })
  return FleetPage.parse(body)
}

async function snapshot(bench: Bench, query: Record<string, string> = {}): Promise<FleetSnapshot> {
  return FleetSnapshot.parse((await bench.client.call('getFleetSnapshot', { query })).body)
}

describe('The events of all sessions', () => {
  it('begin with what comes next, and go on after Last-Event-ID, which wins over since', async () => {
    await using bench = await Bench.open()
    await bench.ran()
    const live = eventsOf(await bench.client.open('getFleetEvents'))
    const first = live.next()
    const id = await bench.session()
    const { value } = await first
    expect(value).toMatchObject({ event: { type: 'session_created', session: { id } } })
    await bench.client.call('setTitle', { params: { id }, body: { title: 'New' } })
    await until(live, isOfType('session_title'))
    await live.return()
    const headers = { 'last-event-id': String(value?.id) }
    const again = await bench.client.open('getFleetEvents', { query: { follow: 'false', since: '0' }, headers })
    const blocks = await all(eventsOf(again))
    expect(blocks.map((block) => block.id)).toEqual([(value?.id ?? 0) + 1])
  })

  it('come whole from 0, and tell of a cursor that is none', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const whole = await page(bench, { since: '0' })
    expect(whole.events.map(({ seq }) => seq)).toEqual(whole.events.map((_, index) => index + 1))
    expect(whole.events[0]?.event).toMatchObject({ type: 'session_created', session: { id, status: 'idle' } })
    expect(whole.next_since).toBe(whole.events.length)
    const head = whole.next_since
    const gap = { type: 'gap', requested: 70, oldest: 1, head, reason: 'ahead' }
    expect(await page(bench, { since: '70', wait: '1m' })).toEqual({ events: [], next_since: head, gap })
    expect(await page(bench, {})).toEqual({ events: [], next_since: head })
    const part = await page(bench, { since: '0', limit: '1' })
    expect(part).toEqual({ events: whole.events.slice(0, 1), next_since: 1 })
  })

  it('are waited for by whoever asks for a page', async () => {
    await using bench = await Bench.open()
    const asked = page(bench, { since: '0', wait: '1m', types: 'session_created' })
    const id = await bench.session()
    const { events } = await asked
    expect(events.map(({ event }) => event.session.id)).toEqual([id])
  })

  it('show the sessions of an agent, or one of them', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    await bench.session()
    const { events } = await page(bench, { since: '0', agent: 'echo' })
    expect(new Set(events.map(({ event }) => event.session.id))).toEqual(new Set([id]))
    expect((await page(bench, { since: '0', session: id, types: 'session_created' })).events).toHaveLength(1)
    expect((await page(bench, { since: '0', session: 'none' })).events).toEqual([])
  })

  it('tell the readers of an agent that another one runs a session now', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const { next_since } = await page(bench, { since: '0' })
    await bench.client.call('startRun', { params: { id }, body: { agent: 'fixed', messages: [{ content: 'go' }] } })
    await bench.manager.waitStopped(id, patience)
    const since = String(next_since)
    const left = (await page(bench, { since, agent: 'echo' })).events.map(({ event }) => event)
    expect(left).toMatchObject([{ type: 'session_status', agent_before: 'echo', session: { id, agent: 'fixed' } }])
    const [came, ...rest] = (await page(bench, { since, agent: 'fixed' })).events
    expect(came?.event).toEqual(left[0])
    expect(rest.map(({ event }) => event.agent_before)).not.toContain('echo')
  })

  it('go on from a snapshot, which comes in pages', async () => {
    await using bench = await Bench.open()
    const ids = [await bench.session(), (await bench.ran()).id, await bench.session()]
    const whole = await snapshot(bench)
    expect(whole.sessions.map(({ id }) => id)).toEqual(ids.toReversed())
    const { headers, body } = await bench.client.call('getFleetSnapshot', { query: { limit: '2' } })
    const [, next = ''] = /<(.*)>; rel="next"/.exec(headers.get('link') ?? '') ?? []
    const late = await bench.session()
    const cursor = new URL(next, 'http://localhost').searchParams.get('cursor') ?? ''
    const rest = await snapshot(bench, { limit: '2', cursor })
    expect([...FleetSnapshot.parse(body).sessions, ...rest.sessions]).toEqual(whole.sessions)
    expect(rest.next_since).toBe(whole.next_since)
    const { events } = await page(bench, { since: String(rest.next_since) })
    expect(events.map(({ event }) => event.session.id)).toEqual([late])
    expect((await snapshot(bench, { agent: 'echo' })).sessions.map(({ id }) => id)).toEqual([ids[1]])
  })
})
