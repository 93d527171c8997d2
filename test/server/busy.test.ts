import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { QueuedInput } from '../../src/protocol/protocol.ts'
import { Bench } from './bench.ts'
import { all, eventsOf, isOfType, until } from './frames.ts'

const messages = [{ content: 'later' }]
const Inputs = z.array(QueuedInput)

async function inputs(bench: Bench, id: string, query: Record<string, string> = {}) {
  return Inputs.parse((await bench.client.call('listInputs', { params: { id }, query })).body)
}

describe('A request to a busy session', () => {
  it.each([
    ['the query', { query: { if_busy: 'enqueue' }, body: messages }],
    ['the body', { query: { if_busy: 'reject' }, body: { messages, if_busy: 'enqueue' } }],
  ])('waits where %s wants that, and shows its run from the first event to the last', async (_, request) => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const headers = { 'x-client-name': 'a-phone' }
    const response = await bench.client.open('streamRun', { params: { id, agent: 'echo' }, headers, ...request })
    expect(response.status).toBe(200)
    expect(await inputs(bench, id)).toMatchObject([{ state: 'queued', agent: 'echo', sent_by: 'a-phone' }])
    bench.agents.openGate()
    const events = await all(eventsOf(response))
    const [run] = (await bench.manager.getRuns(id, { limit: 1 })).entries
    expect([events.at(0)?.id, events.at(-1)?.id]).toEqual([run?.first_seq, run?.last_seq])
    expect(run).toMatchObject({ agent: 'echo', trigger: 'queue' })
    expect(await inputs(bench, id, { state: 'all' })).toMatchObject([{ state: 'delivered', run_id: run?.run_id }])
  })

  it('still waits when its client has left the stream', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const left = new AbortController()
    const request = { params: { id, agent: 'echo' }, query: { if_busy: 'enqueue' }, body: messages }
    await bench.client.open('streamRun', request, left.signal)
    const closed = bench.nextClose()
    left.abort()
    await closed
    expect(await inputs(bench, id)).toMatchObject([{ state: 'queued' }])
  })

  it('shows the run that it steers, and stops nothing when its client leaves', async () => {
    await using bench = await Bench.open()
    const { id, runId } = await bench.running('gated')
    const left = new AbortController()
    const request = { params: { id, agent: 'gated' }, body: { messages, if_busy: 'steer' } }
    const events = eventsOf(await bench.client.open('streamRun', request, left.signal))
    await until(events, isOfType('input_queued'))
    const closed = bench.nextClose()
    left.abort()
    await closed
    expect((await bench.manager.getRun(id, runId)).status).toBe('running')
  })

  it('takes the place of the run that goes on, whose client sees how it ends', async () => {
    await using bench = await Bench.open()
    const id = await bench.session()
    const first = await bench.client.open('streamRun', { params: { id, agent: 'gated' }, body: messages })
    const before = eventsOf(first)
    await until(before, isOfType('agent_choice'))
    const request = { params: { id, agent: 'echo' }, body: { messages, if_busy: 'rollback' } }
    const events = await all(eventsOf(await bench.client.open('streamRun', request)))
    expect((await until(before, isOfType('run_rolled_back'))).event?.message_ids).toHaveLength(2)
    expect((await until(before, isOfType('stream_stopped'))).event).toMatchObject({ reason: 'canceled' })
    expect(events.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
    const { body } = await bench.client.call('getSession', { params: { id } })
    expect(body).toMatchObject({ messages: [{ message: { content: 'later' } }, {}] })
  })

  it('answers without a stream what waits, what is steered and what has begun', async () => {
    await using bench = await Bench.open()
    const { id, runId } = await bench.running('gated')
    const send = async (body: object) => (await bench.client.call('addInputs', { params: { id }, body })).body
    expect(await send({ messages })).toMatchObject({
      status: 'queued',
      session_id: id,
      input_ids: [expect.any(String)],
    })
    expect(await send({ messages, if_busy: 'steer' })).toMatchObject({ status: 'steered', run_id: runId })
    expect(await send({ messages, agent: 'echo', if_busy: 'interrupt' })).toMatchObject({
      run_id: expect.not.stringMatching(runId),
      first_seq: expect.any(Number),
    })
  })

  it('is refused when it says its name wrongly', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const headers = { 'x-client-name': 'two words' }
    const { status, body } = await bench.client.call('addInputs', { params: { id }, body: { messages }, headers })
    expect([status, body]).toMatchObject([400, { details: [{ path: 'headers.x-client-name' }] }])
  })
})
