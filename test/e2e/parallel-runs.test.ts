import { expect, test } from 'vitest'
import { z } from 'zod'
import { Run } from '../../src/protocol/protocol.ts'
import { eventsOf } from '../server/frames.ts'
import { createSession, House, scripted, snapshotOf, startRun, user } from './house.ts'
import { idsOf, idsUpTo, readEvents, readRun, said } from './resuming-reader.ts'

const runs = 200

const words = Array.from({ length: 25 }, (_, n) => `word-${n} `).join('')

const Runs = z.array(Run)

test('200 runs in parallel, with 5 readers each, lose nothing and keep their order', async () => {
  const file = scripted([{ text: '{{last_user_message}}: ' }, { text: words, every: '1ms' }])
  await using house = await House.open({ files: { it: file }, settings: { maxConcurrentRuns: '0' } })
  const { client, url } = house
  const ids = await Promise.all(Array.from({ length: runs }, () => createSession(client)))

  /** The run's own stream, two tails from before it, one that comes later, and one that is cut off. */
  const work = ids.map(async (id, n) => {
    const early = [readEvents(url, id), readEvents(url, id), readEvents(url, id, [3000 + 20 * n])]
    const own = await readRun(url, id, { agent: 'it', text: `run ${n}`, cuts: [] })
    const readings = await Promise.all([...early, readEvents(url, id)])
    for (const { text } of readings) expect(text).toBe(own.text)
    return own.frames
  })
  const all = await Promise.all(work)

  for (const [n, frames] of all.entries()) {
    const id = ids[n] ?? ''
    expect(idsOf(frames)).toEqual(idsUpTo(frames.length))
    expect(said(frames)).toBe(`run ${n}: ${words}`)
    expect(frames.filter(({ event }) => event.type === 'stream_started')).toHaveLength(1)
    expect(frames.filter(({ event }) => event.type === 'stream_stopped')).toHaveLength(1)
    expect(new Set(frames.map(({ event }) => event.session_id))).toEqual(new Set([id]))
    const [run, ...others] = Runs.parse((await client.call('listRuns', { params: { id } })).body)
    expect(others).toEqual([])
    expect(run).toMatchObject({ status: 'completed', reason: 'normal', first_seq: 1, last_seq: frames.length })
    expect(await snapshotOf(client, id)).toMatchObject({ streaming: false, last_event_seq: frames.length })
  }
})

test('Runs beyond the limit are refused, and follow-ups beyond it wait until there is room', async () => {
  const files = { hold: scripted([{ delay: '1h' }]), it: scripted([{ text: '{{last_user_message}}' }]) }
  await using house = await House.open({ files, settings: { maxConcurrentRuns: '4' } })
  const { client, url } = house
  const ids = await Promise.all(Array.from({ length: 40 }, () => createSession(client)))
  for (const id of ids) await readRun(url, id, { agent: 'it', text: 'first', cuts: [] })

  const holders = await Promise.all(Array.from({ length: 4 }, () => createSession(client)))
  for (const id of holders) await startRun(client, id, 'hold')
  const [id = ''] = ids
  const refused = await client.call('startRun', { params: { id }, body: { agent: 'it', messages: [user('no')] } })
  expect(refused).toMatchObject({ status: 429, code: 'too_many_runs' })
  expect(refused.headers.get('retry-after')).toBe('1')

  const followUps = ids.map((id) => client.call('followUp', { params: { id }, body: { messages: [user('second')] } }))
  for (const { status, body } of await Promise.all(followUps)) {
    expect([status, body]).toEqual([202, { status: 'queued_streaming', duplicate: false }])
  }
  for (const id of holders) await client.call('cancelRun', { params: { id } })

  for (const id of ids) {
    const ends = eventsOf(await client.open('getEvents', { params: { id }, query: { types: 'stream_stopped' } }))
    for (let end = 1; end <= 2; end++) expect((await ends.next()).value?.event).toMatchObject({ reason: 'normal' })
    await ends.return()
    const { messages, streaming } = await snapshotOf(client, id)
    expect(messages?.map(({ message }) => message.content)).toEqual(['first', 'first', 'second', 'second'])
    expect(streaming).toBe(false)
  }
})
