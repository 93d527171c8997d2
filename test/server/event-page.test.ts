import { describe, expect, it } from 'vitest'
import { EventPage } from '../../src/protocol/protocol.ts'
import { prefersJson } from '../../src/server/accept.ts'
import { Bench } from './bench.ts'

const json = { accept: 'application/json' }

async function page(bench: Bench, id: string, query: Record<string, string> = {}): Promise<EventPage> {
  const { body } = await bench.client.call('getEvents', { params: { id }, query, headers: json })
  return EventPage.parse(body)
}

describe('The events of a session as JSON', () => {
  it('come in pages that follow each other', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const whole = await page(bench, id)
    expect(whole.events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5])
    expect(whole).toMatchObject({
      next_since: 5,
      events: [{ event: { type: 'user_message', session_id: id } }, {}, {}, {}, {}],
    })
    const first = await page(bench, id, { limit: '2' })
    const second = await page(bench, id, { limit: '3', since: String(first.next_since) })
    expect([...first.events, ...second.events]).toEqual(whole.events)
    expect(await page(bench, id, { since: String(second.next_since) })).toEqual({ events: [], next_since: 5 })
  })

  it('pass over the types that nobody asked for', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    expect(await page(bench, id, { types: 'stream_started' })).toMatchObject({ events: [{ seq: 2 }], next_since: 5 })
    expect(await page(bench, id, { types: 'warning' })).toEqual({ events: [], next_since: 5 })
  })

  it('tell of a gap, and where to go on', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const gap = { type: 'gap', requested: 70, oldest: 1, head: 5, reason: 'ahead' }
    expect(await page(bench, id, { since: '70', wait: '1m' })).toEqual({ events: [], next_since: 5, gap })
  })

  it('wait for the next event', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const { next_since } = await page(bench, id, { wait: '1m', types: 'agent_choice' })
    const later = page(bench, id, { wait: '1m', since: String(next_since), types: 'stream_stopped' })
    bench.agents.openGate()
    expect(await later).toMatchObject({ events: [{ event: { type: 'stream_stopped', reason: 'normal' } }] })
  })

  it('answer with nothing when the wait is over', async () => {
    await using bench = await Bench.open()
    expect(await page(bench, await bench.session(), { wait: '5ms' })).toEqual({ events: [], next_since: 0 })
  })
})

describe('A client', () => {
  it.each([
    [undefined, false],
    ['*/*', false],
    ['application/json', true],
    ['Application/JSON;q=0.9, */*;q=0.1', true],
    ['application/json, text/event-stream', false],
    ['application/json, text/event-stream;q=0', true],
    ['application/json;q=0', false],
    ['application/jsonl', false],
  ])('that accepts %j prefers JSON: %s', (accept, expected) => {
    expect(prefersJson(accept)).toBe(expected)
  })
})
