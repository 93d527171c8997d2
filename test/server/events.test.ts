import { EventSource } from 'eventsource'
import { describe, expect, it } from 'vitest'
import type { RuntimeEvent } from '../../src/runtime/runtime.ts'
import { Bench } from './bench.ts'
import { all, blocksOf, eventsOf, isOfType, until } from './frames.ts'
import { open } from './raw.ts'
import { say } from './test-agents.ts'

describe('The events of a session', () => {
  it('are framed byte for byte', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const response = await bench.client.open('getEvents', { params: { id }, query: { follow: 'false' } })
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform')
    expect(response.headers.get('x-accel-buffering')).toBe('no')
    const text = await response.text()
    const opening = `:${' '.repeat(2045)}\n\nretry: 1000\n\n`
    expect(text.startsWith(opening)).toBe(true)
    const frames = text.slice(opening.length)
    expect(frames).toMatch(/^(id: \d+\ndata: \{"type":"[a-z_]+",[^\n]*\}\n\n)+$/)
    expect([...frames.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq))).toEqual([1, 2, 3, 4, 5])
    expect(frames.match(/"type":"[a-z_]+"/g)?.at(0)).toBe('"type":"user_message"')
    expect(frames.match(/"type":"[a-z_]+"/g)?.at(-1)).toBe('"type":"stream_stopped"')
  })

  it('go on after the replay, and end with session_exited when the session is deleted', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const events = eventsOf(await bench.client.open('getEvents', { params: { id } }))
    await until(events, isOfType('agent_choice'))
    bench.agents.openGate()
    await until(events, isOfType('stream_stopped'))
    await bench.client.call('deleteSession', { params: { id } })
    expect((await all(events)).map(({ event }) => event?.type)).toEqual(['session_exited'])
  })

  it('resume after Last-Event-ID, which wins over the since that the URL still has', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const read = async (query: Record<string, string>, headers: Record<string, string>) => {
      const response = await bench.client.open('getEvents', {
        params: { id },
        query: { ...query, follow: 'false' },
        headers,
      })
      return (await all(eventsOf(response))).map((block) => block.id)
    }
    expect(await read({}, { 'last-event-id': '3' })).toEqual([4, 5])
    expect(await read({ since: '1' }, { 'last-event-id': '4' })).toEqual([5])
    expect(await read({ since: '4' }, { 'last-event-id': 'x1' }), 'a gap').toEqual([undefined])
    expect(await read({ since: '5' }, {})).toEqual([])
    expect(await read({ since: '0' }, {})).toEqual([1, 2, 3, 4, 5])
  })

  it.each([
    ['a Last-Event-ID that nobody can read', { 'last-event-id': 'x1' }, {}, { requested: null, reason: 'invalid' }],
    ['a Last-Event-ID ahead of the head', { 'last-event-id': '99' }, {}, { requested: 99, reason: 'ahead' }],
    ['a since ahead of the head', {}, { since: '99' }, { requested: 99, reason: 'ahead' }],
  ])('have a gap without an id for %s, and no silent replay', async (_, headers, query, gap) => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const options = { params: { id }, query: { ...query, follow: 'false' }, headers }
    const blocks = await all(eventsOf(await bench.client.open('getEvents', options)))
    expect(blocks).toMatchObject([{ id: undefined, event: { type: 'gap', oldest: 1, head: 5, ...gap } }])
    expect(blocks[0]?.text).toMatch(/^data: /)
  })

  it('can be filtered by type, and the ids stay what they are', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const query = { types: 'stream_started,stream_stopped,unknown', follow: 'false' }
    const blocks = await all(eventsOf(await bench.client.open('getEvents', { params: { id }, query })))
    expect(blocks.map((block) => [block.id, block.event?.type])).toEqual([
      [2, 'stream_started'],
      [5, 'stream_stopped'],
    ])
  })

  it('come with pings of 1 KiB', async () => {
    await using bench = await Bench.open({ server: { heartbeatMs: 5 } })
    const blocks = blocksOf(await bench.client.open('getEvents', { params: { id: await bench.session() } }))
    const ping = await until(blocks, ({ text }) => text.startsWith(': ping'))
    expect(ping.text).toBe(': ping'.padEnd(1022))
    await until(blocks, ({ text }) => text.startsWith(': ping'))
  })

  it('end politely at the maximal age, between two frames, and a standard EventSource misses nothing', async () => {
    await using bench = await Bench.open({ server: { sseMaxAgeMs: 30 } })
    const { id } = await bench.running('gated')
    const source = new EventSource(`${bench.client.url}/api/sessions/${id}/events`)
    const seen: string[] = []
    const stopped = Promise.withResolvers<void>()
    let cuts = 0
    source.onmessage = ({ lastEventId, data }) => {
      seen.push(lastEventId)
      if (data.includes('stream_stopped')) stopped.resolve()
    }
    source.onerror = () => {
      cuts += 1
      bench.agents.openGate()
    }
    await stopped.promise
    source.close()
    expect(cuts).toBeGreaterThan(0)
    expect(seen).toEqual(seen.map((_, index) => String(index + 1)))
  })

  it('wait for a reader that does not read, who holds a bounded number of bytes and loses nothing', async () => {
    await using bench = await Bench.open()
    const piece = 'x'.repeat(64 * 1024)
    const pieces = 256
    bench.agents.scripts.flood = async function* (): AsyncGenerator<RuntimeEvent, 'normal', void> {
      for (let index = 0; index < pieces; index += 1) yield say(`${index} ${piece}`)
      return 'normal'
    }
    const held: { readonly writableLength: number }[] = []
    const id = await bench.session()
    bench.app.server.on('request', (_, response) => held.push(response))
    const socket = await open(bench.client.url)
    socket.write(`GET /api/sessions/${id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    const bytes: string[] = []
    socket.setEncoding('latin1')
    await new Promise((opened) => socket.once('readable', opened))
    const quick = eventsOf(await bench.client.open('getEvents', { params: { id } }))
    await bench.client.call('startRun', { params: { id }, body: { agent: 'flood', messages: [{ content: 'go' }] } })
    await until(quick, isOfType('stream_stopped'))
    expect(Math.max(...held.map(({ writableLength }) => writableLength))).toBeLessThanOrEqual(1024 * 1024)
    for await (const chunk of socket) {
      bytes.push(chunk)
      if (bytes.slice(-2).join('').includes('stream_stopped')) break
    }
    const said = bytes.join('').matchAll(/"type":"agent_choice","agent_name":"root","content":"(\d+) /g)
    expect([...said].map(([, index]) => Number(index))).toEqual(Array.from({ length: pieces }, (_, index) => index))
  })

  it('leave nothing behind when a reader that does not read hangs up', async () => {
    await using bench = await Bench.open({ manager: { ringCapacity: 4 } })
    bench.agents.scripts.flood = async function* (): AsyncGenerator<RuntimeEvent, 'normal', void> {
      for (let index = 0; index < 64; index += 1) yield say('x'.repeat(256 * 1024))
      return 'normal'
    }
    const { id } = await bench.ran('flood')
    const closed = new Promise((done) =>
      bench.app.server.once('request', (_, response) => response.once('close', done)),
    )
    const socket = await open(bench.client.url)
    socket.write(`GET /api/sessions/${id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    await new Promise((opened) => socket.once('readable', opened))
    socket.destroy()
    await closed
    await bench.app.close()
  })
})
