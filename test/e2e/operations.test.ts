import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { Run } from '../../src/protocol/protocol.ts'
import { Client } from '../server/client.ts'
import { eventsOf, isOfType, until } from '../server/frames.ts'
import { request } from '../server/raw.ts'
import { tempDir } from '../store/temp-dir.ts'
import { createSession, House, logOf, scripted, snapshotOf, startRun, user } from './house.ts'
import { serve } from './program.ts'
import { readEvents } from './resuming-reader.ts'

const Runs = z.array(Run)

const quick = scripted([{ text: 'You said {{last_user_message}}' }])
/** Says something and then takes longer than anybody waits. */
const stuck = scripted([{ text: 'I was about to ' }, { delay: '1h' }, { text: 'say' }])

/** A session whose run has said something and goes on. */
async function stuckSession(client: Client): Promise<{ readonly id: string; readonly seen: number }> {
  const id = await createSession(client, { title: 'Stuck' })
  await startRun(client, id, 'stuck')
  const tail = eventsOf(await client.open('getEvents', { params: { id } }))
  // The text comes in four words.
  for (let word = 1; word < 4; word++) await until(tail, isOfType('agent_choice'))
  const { id: seen = 0 } = await until(tail, isOfType('agent_choice'))
  await tail.return()
  return { id, seen }
}

/** What everybody sees of a run whose process ended before it did: it goes on, until somebody stops it. */
async function checkRecovered(
  client: Client,
  id: string,
  seen: number,
  recovered: { readonly attempt: number; readonly cause: string },
): Promise<void> {
  const tail = eventsOf(await client.open('getEvents', { params: { id }, query: { since: `${seen}` } }))
  const partial = await until(tail, isOfType('message_added'))
  expect(partial).toMatchObject({
    id: seen + 1,
    event: { message: { message: { content: 'I was about to ', finish_reason: 'interrupted' } } },
  })
  expect(await until(tail, isOfType('run_recovered'))).toMatchObject({ id: seen + 2, event: recovered })
  // The cut answer is a message of its own, and the next one begins anew.
  expect((await until(tail, isOfType('agent_choice'))).event?.content).toBe('I ')
  await tail.return()
  const [run] = Runs.parse((await client.call('listRuns', { params: { id } })).body)
  expect(run).toMatchObject({ status: 'running', ...(recovered.attempt > 1 ? { attempt: recovered.attempt } : {}) })
  expect((await logOf(client, id)).filter(({ type }) => type === 'stream_started')).toHaveLength(1)
  expect((await client.call('cancelRun', { params: { id } })).status).toBe(200)
  expect(await snapshotOf(client, id)).toMatchObject({ streaming: false })
}

describe('A backup by VACUUM INTO while the server runs', () => {
  test('is a database that has everything that anybody was told', async () => {
    await using house = await House.open({ files: { quick, stuck } })
    const { client } = house
    const ids = await Promise.all(Array.from({ length: 20 }, () => createSession(client)))
    for (const [n, id] of ids.entries()) {
      await client.call('streamRun', { params: { id, agent: 'quick' }, body: { messages: [user(`number ${n}`)] } })
    }
    const { id: stopped, seen } = await stuckSession(client)
    // Others go on meanwhile.
    const busy = Promise.all(ids.map((id) => startRun(client, id, 'quick', 'while it is copied')))
    const backup = join(tempDir(), 'backup.db')
    const copy = new Database(house.database, { readonly: true })
    copy.exec(`VACUUM INTO '${backup}'`)
    copy.close()
    await busy

    await using restored = await House.open({ files: { quick, stuck }, settings: { sessionDb: backup } })
    for (const [n, id] of ids.entries()) {
      expect((await readEvents(restored.url, id)).text).toBe((await readEvents(house.url, id)).text)
      const { messages } = await snapshotOf(restored.client, id)
      expect(messages?.[1]?.message.content).toBe(`You said number ${n}`)
      await startRun(restored.client, id, 'quick')
    }
    await checkRecovered(restored.client, stopped, seen, { attempt: 2, cause: 'crash' })
    expect(await snapshotOf(client, stopped)).toMatchObject({ streaming: true })
  })
})

describe('A run that does not end', () => {
  test('within the grace period is handed over to the next process, and its reader resumes', async () => {
    await using house = await House.open({ files: { quick, stuck }, settings: { shutdownGrace: '1s' } })
    const { id, seen } = await stuckSession(house.client)
    const tail = eventsOf(await house.client.open('getEvents', { params: { id }, query: { since: `${seen}` } }))
    expect((await house.client.call('followUp', { params: { id }, body: { messages: [user('later')] } })).status).toBe(
      202,
    )
    await house.restart()
    // A shutdown is not the end of the session: whoever reads comes back.
    expect(await tail.next()).toMatchObject({ done: false, value: { event: { type: 'input_queued' } } })
    expect(await tail.next()).toEqual({ done: true, value: undefined })
    await checkRecovered(house.client, id, seen + 1, { attempt: 1, cause: 'handover' })
    const { body } = await house.client.call('getQueue', { params: { id } })
    expect(body).toMatchObject({ followup: { depth: 1 } })
  })

  test('before its process is killed goes on in the next process', async () => {
    const dir = tempDir()
    await using files = await House.open({ files: { quick, stuck } })
    const database = join(dir, 'sessions.db')
    const first = serve(files.agents, database)
    const { id, seen } = await stuckSession(new Client(await first.url))
    first.kill('SIGKILL')
    await first.exit
    const next = new Client(await serve(files.agents, database).url)
    await checkRecovered(next, id, seen, { attempt: 2, cause: 'crash' })
  })
})

describe('A database that another process owns', () => {
  test('is waited for, and /ready says so meanwhile', async () => {
    await using house = await House.open({ files: { quick } })
    const id = await createSession(house.client, { title: 'Mine' })
    const socket = join(tempDir(), 'a.sock')
    const second = serve(house.agents, house.database, ['--listen', `unix://${socket}`, '--owner-wait', '1m'])
    await vi.waitFor(
      async () => {
        const { status, body } = await getOverSocket(socket, '/ready')
        const error = 'another process owns the database'
        expect([status, body]).toMatchObject([503, { ready: false, store_connected: false, latest_error: error }])
      },
      { timeout: 60_000 },
    )
    expect(await getOverSocket(socket, `/api/sessions/${id}`)).toMatchObject({
      status: 503,
      body: { code: 'starting' },
    })
    expect(await getOverSocket(socket, '/health')).toMatchObject({ status: 200, body: { status: 'ok' } })

    await house.close()
    await second.url
    expect(await getOverSocket(socket, '/ready')).toMatchObject({ status: 200, body: { ready: true } })
    expect(await getOverSocket(socket, `/api/sessions/${id}`)).toMatchObject({ status: 200, body: { title: 'Mine' } })
  })

  test('is not waited for longer than one likes', async () => {
    await using house = await House.open({ files: { quick } })
    const late = serve(house.agents, house.database, ['--owner-wait', '0s'])
    expect(await late.exit).toEqual({ code: 1, signal: null })
    expect(late.stderr()).toMatch(/^quarterdeck: another process owns the database .*\n$/)
    expect((await house.client.call('ready')).status).toBe(200)
  })
})

describe('A server without a token', () => {
  test('serves its own pages and programs only', async () => {
    await using house = await House.open({ files: { quick }, settings: { corsOrigin: ['https://app.example'] } })
    const { host } = new URL(house.url)
    const plain = { 'content-type': 'text/plain', 'content-length': '2' }
    const post = (headers: { readonly host?: string; readonly origin?: string }) =>
      request(house.url, 'POST /api/sessions', { host, ...plain, ...headers }, '{}')
    for (const headers of [
      { host: 'rebound.example' },
      { origin: 'null' },
      { origin: 'https://elsewhere.example' },
      { origin: `https://${host.replace(/\d+$/, '1')}` },
    ]) {
      expect(await post(headers)).toMatchObject({ status: 403, body: { code: 'forbidden_origin' } })
    }
    // What passes is judged by its content type next.
    for (const headers of [{}, { origin: `http://${host}` }, { origin: 'https://app.example' }]) {
      expect(await post(headers)).toMatchObject({ body: { code: 'unsupported_media_type' } })
    }
    expect((await house.client.call('listSessions')).body).toEqual([])
  })
})

describe('A server with a token', () => {
  test('asks everybody but probes for it', async () => {
    await using house = await House.open({ files: { quick }, settings: { authToken: 'hush-hush' } })
    expect(await house.client.call('listSessions')).toMatchObject({ status: 401, code: 'unauthorized' })
    expect((await house.client.call('health')).status).toBe(200)
    expect((await house.client.call('ready')).status).toBe(200)
    const known = new Client(house.url, { authorization: 'Bearer hush-hush' })
    expect((await known.call('listSessions')).status).toBe(200)
  })
})

describe('An agent file', () => {
  test('that is edited counts from the next run on, and one that stops parsing keeps its last good version', async () => {
    await using house = await House.open({ files: { it: scripted([{ text: 'Before' }]) } })
    const { client } = house
    const id = await createSession(client)
    const say = async () => {
      await client.call('streamRun', { params: { id, agent: 'it' }, body: { messages: [user('hello')] } })
      return (await snapshotOf(client, id)).messages?.at(-1)?.message.content
    }
    expect(await say()).toBe('Before')
    house.write('it', scripted([{ text: 'After that' }]))
    expect(await say()).toBe('After that')
    house.write('it', 'agents: [this is no agent file')
    expect(await say()).toBe('After that')
    expect((await client.call('listAgents')).body).toMatchObject([{ name: 'it', error: expect.stringMatching(/\S/) }])
    house.write('another', scripted([{ text: 'New' }]))
    expect((await client.call('listAgents')).body).toMatchObject([{ name: 'another' }, { name: 'it' }])
  })
})

/** fetch cannot speak through a socket. */
async function getOverSocket(socketPath: string, path: string): Promise<{ status: number; body: unknown }> {
  const [response]: IncomingMessage[] = await once(get({ socketPath, path }), 'response')
  if (response?.statusCode === undefined) throw new Error('there was no answer')
  return { status: response.statusCode, body: JSON.parse(Buffer.concat(await response.toArray()).toString()) }
}
