import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { Explanation } from '../../src/protocol/protocol.ts'
import { sh } from '../runtime/tool-bench.ts'
import { Client } from '../server/client.ts'
import { tempDir } from '../store/temp-dir.ts'
import { equipped, resultsIn } from './equipped.ts'
import { createSession, startRun } from './house.ts'
import { serve } from './program.ts'
import { readEvents } from './resuming-reader.ts'

/** The program with one agent, and a session of it. */
async function served(turns: readonly (readonly object[])[], options: readonly string[]) {
  const dir = tempDir()
  const agents = join(dir, 'agents')
  mkdirSync(agents)
  writeFileSync(join(agents, 'it.yaml'), equipped({ toolsets: [{ type: 'shell' }] }, turns))
  const server = serve(agents, join(dir, 'test.db'), options)
  const client = new Client(await server.url)
  const id = await createSession(client, { title: 'A title', safety_policy: 'autonomous' })
  return { client, id }
}

test('A model that is tried again has a deadline that is still to come', async () => {
  const { client, id } = await served([[{ delay: '1h' }, { text: 'late' }]], ['--model-silence', '2s'])
  await startRun(client, id, 'it')
  const asked = () =>
    vi.waitUntil(
      async () => {
        const { body } = await client.call('explain', { params: { id } })
        return Explanation.parse(body).activities.find(({ kind }) => kind === 'model')
      },
      { timeout: 60_000, interval: 20 },
    )
  const first = await asked()
  // The silence that it has, and not only what the clock is off by.
  const isLater = async () => Date.parse((await asked()).deadline ?? '') > Date.parse(first.deadline ?? '') + 1000
  await vi.waitUntil(isLater, { timeout: 60_000, interval: 20 })
  expect(await asked()).toMatchObject({ since: first.since })
}, 60_000)

test('A model that says nothing is given up, tried again, and in the end fails its run', async () => {
  const { client, id } = await served([[{ delay: '1h' }, { text: 'late' }]], ['--model-silence', '50ms'])
  await startRun(client, id, 'it')
  const { frames } = await readEvents(client.url, id)
  expect(frames.slice(-2).map(({ event }) => event)).toMatchObject([
    { type: 'error', code: 'model_error', error: expect.stringContaining('sent nothing') },
    { type: 'stream_stopped', reason: 'error' },
  ])
  const { body } = await client.call('explain', { params: { id } })
  expect(Explanation.parse(body)).toMatchObject({ state: 'idle', reason: 'at_rest' })
}, 60_000)

test('A tool that says nothing is ended, and the model goes on', async () => {
  const { client, id } = await served([[sh('sleep 1000')], [{ text: 'done' }]], ['--tool-silence=1s'])
  await startRun(client, id, 'it')
  const { frames } = await readEvents(client.url, id)
  expect(frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
  expect(await resultsIn(client, id)).toEqual([expect.stringContaining('It is unknown whether it took effect')])
}, 60_000)
