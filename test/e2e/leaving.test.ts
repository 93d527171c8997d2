import { once } from 'node:events'
import { connect } from 'node:net'
import { setImmediate as giveWay } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { Run } from '../../src/protocol/protocol.ts'
import { createSession, House, scripted, snapshotOf } from './house.ts'
import { readEvents } from './resuming-reader.ts'

const Runs = z.array(Run)

let house: House

beforeAll(async () => {
  // What a run says is told before its model is asked, so there is something to read although it never ends.
  house = await House.open({ files: { stuck: scripted([{ text: 'I say ' }, { delay: '1h' }]) } })
})
afterAll(() => house[Symbol.asyncDispose]())

/** Sends a run request and leaves after so many turns of the event loop, whatever has come by then. */
async function runAndLeave(id: string, query: string, turns: number): Promise<void> {
  const { hostname, port } = new URL(house.url)
  const body = JSON.stringify({ messages: [{ content: 'go' }] })
  const head = `POST /api/sessions/${id}/agent/stuck${query} HTTP/1.1\r\nHost: ${hostname}:${port}`
  const client = connect(Number(port), hostname)
  await once(client, 'connect')
  client.write(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  for (let turn = 0; turn < turns; turn++) await giveWay()
  client.destroy()
}

async function runsOf(id: string): Promise<readonly Run[]> {
  return Runs.parse((await house.client.call('listRuns', { params: { id } })).body)
}

const moments = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 100, maxLength: 100 })

describe('A client that leaves the stream of its run at any moment', () => {
  test('stops the run', async () => {
    await fc.assert(
      fc.asyncProperty(moments, async (turns) => {
        const ids = await Promise.all(turns.map(() => createSession(house.client, { title: 'One' })))
        await Promise.all(ids.map((id, n) => runAndLeave(id, '', turns[n] ?? 0)))
        await vi.waitFor(
          async () => {
            for (const id of ids) {
              const runs = await runsOf(id)
              expect(runs).toHaveLength(1)
              expect(runs).toMatchObject([{ status: 'canceled', canceled: { by: 'client_disconnect' } }])
            }
          },
          { timeout: 30_000, interval: 200 },
        )
        for (const id of ids) {
          const { frames } = await readEvents(house.url, id)
          expect(frames.at(-1)?.event).toMatchObject({ reason: 'canceled' })
          expect(await snapshotOf(house.client, id)).toMatchObject({ streaming: false })
        }
      }),
      { numRuns: 1, endOnFailure: true },
    )
  })

  test('leaves it alone when it has said so', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => createSession(house.client, { title: 'One' })))
    await Promise.all(ids.map((id, n) => runAndLeave(id, '?on_disconnect=continue', 2 * n)))
    await vi.waitFor(
      async () => {
        for (const id of ids) expect(await runsOf(id)).toMatchObject([{ status: 'running' }])
      },
      { timeout: 30_000, interval: 200 },
    )
    for (const id of ids) expect((await house.client.call('cancelRun', { params: { id } })).status).toBe(200)
  })
})
