import { describe, expect, it } from 'vitest'
import { Event, type Run, RunBody } from '../../src/protocol/protocol.ts'
import { Bench } from './bench.ts'
import { all, blocksOf, eventsOf, isOfType, until } from './frames.ts'

const go = { messages: [{ content: 'go' }] }

/** Streams a run, and leaves when it has said something. */
async function leave(bench: Bench, query: Record<string, string> = {}): Promise<{ id: string; runId: string }> {
  const id = await bench.session()
  const left = new AbortController()
  const params = { id, agent: 'gated' }
  const events = eventsOf(await bench.client.open('streamRun', { params, query, body: go }, left.signal))
  const { event } = await until(events, isOfType('agent_choice'))
  const closed = bench.nextClose()
  left.abort()
  await closed
  return { id, runId: String(event?.run_id) }
}

async function ended(bench: Bench, { id, runId }: { id: string; runId: string }): Promise<Run> {
  await bench.manager.waitStopped(id, 60_000)
  return bench.manager.getRun(id, runId)
}

describe('A run stream', () => {
  it('shows the run from its first event to its last, with ids, and ends', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.ran()
    const response = await bench.client.open('streamRun', { params: { id, agent: 'echo' }, body: go })
    expect(response.status).toBe(200)
    const blocks = await all(blocksOf(response))
    expect(blocks.slice(0, 2).map(({ text }) => text.trim())).toEqual([':', 'retry: 1000'])
    const events = blocks.slice(2).map(({ event }) => Event.parse(event))
    expect(events.map(({ type }) => type)).toEqual([
      'user_message',
      'stream_started',
      'agent_choice',
      'message_added',
      'stream_stopped',
    ])
    expect(blocks.slice(2).map((block) => block.id)).toEqual([6, 7, 8, 9, 10])
    expect(new Set(events.map(({ run_id }) => run_id)).size).toBe(1)
  })

  it('takes an object and a bare array', () => {
    expect(RunBody.parse(go)).toEqual(go)
    expect(RunBody.parse(go.messages)).toEqual({ ...go, model: undefined })
  })

  it('is refused before its first byte', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const response = await bench.client.open('streamRun', { params: { id, agent: 'echo' }, body: go })
    expect(response.status).toBe(409)
    expect(response.headers.get('content-type')).toMatch(/^application\/json/)
    await response.body?.cancel()
  })

  it('runs the agent that the path names', async () => {
    await using bench = await Bench.open()
    const params = { id: await bench.session(), agent: 'echo', agent_name: 'second' }
    await bench.client.call('streamNamedRun', { params, body: go })
    expect((await bench.client.call('getStatus', { params })).body).toMatchObject({ agent: 'second' })
  })

  it('stops the run when its client leaves, and the run says who stopped it', async () => {
    await using bench = await Bench.open()
    const run = await ended(bench, await leave(bench))
    expect(run).toMatchObject({ status: 'canceled', reason: 'canceled', canceled: { by: 'client_disconnect' } })
  })

  it('leaves the run alone when its client leaves and said so', async () => {
    await using bench = await Bench.open()
    const left = await leave(bench, { on_disconnect: 'continue' })
    bench.agents.openGate()
    expect(await ended(bench, left)).toMatchObject({ status: 'completed', reason: 'normal' })
  })

  it('leaves the run alone when the server is set so, unless its client wants otherwise', async () => {
    await using bench = await Bench.open({ server: { onDisconnect: 'continue' } })
    const canceled = await ended(bench, await leave(bench, { on_disconnect: 'cancel' }))
    expect(canceled).toMatchObject({ status: 'canceled' })
    const left = await leave(bench)
    bench.agents.openGate()
    expect(await ended(bench, left)).toMatchObject({ status: 'completed' })
  })

  it('that has become too old ends and leaves the run alone', async () => {
    await using bench = await Bench.open({ server: { sseMaxAgeMs: 30 } })
    const id = await bench.session()
    const blocks = await all(
      eventsOf(await bench.client.open('streamRun', { params: { id, agent: 'gated' }, body: go })),
    )
    expect(blocks.at(-1)?.event?.type).toBe('agent_choice')
    bench.agents.openGate()
    const run = await ended(bench, { id, runId: String(blocks[0]?.event?.run_id) })
    expect(run).toMatchObject({ status: 'completed', reason: 'normal' })
  })

  it('has pings while the run says nothing', async () => {
    await using bench = await Bench.open({ server: { heartbeatMs: 5 } })
    const params = { id: await bench.session(), agent: 'gated' }
    const blocks = blocksOf(await bench.client.open('streamRun', { params, body: go }))
    await until(blocks, isOfType('agent_choice'))
    await until(blocks, ({ text }) => text.startsWith(': ping'))
    bench.agents.openGate()
    await until(blocks, isOfType('stream_stopped'))
  })
})
