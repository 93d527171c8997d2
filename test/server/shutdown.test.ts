import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Bench } from './bench.ts'
import { all, eventsOf, isOfType, until } from './frames.ts'
import { open } from './raw.ts'

const never = { server: { closeGraceMs: 60_000 } }

describe('A server that closes', () => {
  it('ends the tails without session_exited, so that clients come again', async () => {
    await using bench = await Bench.open(never)
    const { id } = await bench.running('gated')
    const events = eventsOf(await bench.client.open('getEvents', { params: { id } }))
    await until(events, isOfType('agent_choice'))
    const closed = bench.app.close()
    expect(await all(events)).toEqual([])
    await closed
  })

  it('ends run streams and leaves the runs alone', async () => {
    await using bench = await Bench.open(never)
    const id = await bench.session()
    const body = { messages: [{ content: 'go' }] }
    const events = eventsOf(await bench.client.open('streamRun', { params: { id, agent: 'gated' }, body }))
    const { event } = await until(events, isOfType('agent_choice'))
    const closed = bench.app.close()
    expect(await all(events)).toEqual([])
    await closed
    const run = await bench.manager.getRun(id, String(event?.run_id))
    expect(run).toMatchObject({ status: 'running' })
    expect(run.canceled).toBeUndefined()
    bench.agents.openGate()
    await bench.manager.waitStopped(id, 60_000)
    expect(await bench.manager.getRun(id, run.run_id)).toMatchObject({ status: 'completed' })
  })

  it('ends a long poll', async () => {
    await using bench = await Bench.open(never)
    const id = await bench.session()
    const arrived = once(bench.app.server, 'request')
    const poll = bench.client.call('getEvents', {
      params: { id },
      query: { wait: '5m' },
      headers: { accept: 'application/json' },
    })
    await arrived
    const closed = bench.app.close()
    expect(await poll).toMatchObject({ status: 200, body: { events: [], next_since: 0 } })
    await closed
  })

  it('is not held by a connection that never sent a request', async () => {
    await using bench = await Bench.open()
    const socket = await open(bench.client.url)
    const hungUp = once(socket, 'close')
    socket.resume()
    await bench.app.close()
    await hungUp
  })

  it('is not held by a reader that does not read', async () => {
    await using bench = await Bench.open()
    const { id } = await bench.running('gated')
    const socket = await open(bench.client.url)
    socket.write(`GET /api/sessions/${id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    await once(socket, 'readable')
    await bench.app.close()
    socket.destroy()
  })

  it('does not close the manager, which is somebody else’s', async () => {
    await using bench = await Bench.open()
    const id = await bench.session()
    await bench.app.close()
    await bench.app.close()
    expect(await bench.manager.getSession(id)).toMatchObject({ id })
  })
})
