import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Explanation, FleetSnapshot, Run, SessionDetails } from '../../src/protocol/protocol.ts'
import { type Started, start } from '../process.ts'
import { writeAgents } from './agents.ts'
import { checkSession } from './check.ts'
import { Client, isAnswer } from './client.ts'
import { program } from './program.ts'
import { record } from './reader.ts'
import { SessionWitness } from './session-witness.ts'
import { Started as StartedRun } from './talker.ts'

const Created = z.object({ id: z.string() })

let folder: string
let server: Started

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-store-failure-'))
  writeAgents(join(folder, 'agents'))
})

afterEach(async () => {
  server.kill('SIGKILL')
  await server.exit
  rmSync(folder, { recursive: true })
})

async function serve(): Promise<Client> {
  server = start([program, 'serve', 'agents', '--listen', '127.0.0.1:0', '--log-level', 'error'], { cwd: folder })
  return new Client(await server.url)
}

async function create(client: Client): Promise<SessionWitness> {
  const { text } = await client.send('POST', '', { title: 'ballast' })
  return new SessionWitness(Created.parse(JSON.parse(text)).id, 'ballast')
}

async function run(client: Client, session: SessionWitness): Promise<void> {
  const body = { messages: [{ content: 'Ahoy!' }] }
  const stream = await client.stream('POST', `/${session.id}/agent/burst`, { body })
  if (!isAnswer(stream)) await record(session, stream)
}

const hasLimits = spawnSync('prlimit', ['--version']).status === 0

describe.runIf(hasLimits)('a disk that takes nothing more (needs prlimit)', () => {
  test('makes writes 503 and the server unready, and loses nothing', async () => {
    const client = await serve()
    const session = await create(client)
    await run(client, session)
    limitFiles(server.pid, '4096')
    const refused = await client.send('PATCH', `/${session.id}/title`, { title: 'too much' })
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining('"code":"store_unavailable"') })
    expect(await readiness()).toEqual({ status: 503, store_connected: false })
    await run(client, session)
    limitFiles(server.pid, 'unlimited')
    await expect.poll(readiness, { timeout: 30_000 }).toEqual({ status: 200, store_connected: true })
    await run(client, session)
    await checkSession(client, session)
    expect(server.stderr()).toBe('')
  })
})

describe.runIf(hasLimits)('a run while the disk takes nothing (needs prlimit)', () => {
  let client: Client
  let session: SessionWitness
  let started: z.infer<typeof StartedRun>

  beforeEach(async () => {
    client = await serve()
    session = await create(client)
    const body = { agent: 'patient', messages: [{ content: 'Ahoy!' }] }
    started = StartedRun.parse(JSON.parse((await client.send('POST', `/${session.id}/runs`, body)).text))
    limitFiles(server.pid, '4096')
    await expect.poll(readiness, { timeout: 30_000 }).toEqual({ status: 503, store_connected: false })
  })

  test('goes on by itself when there is room again', async () => {
    limitFiles(server.pid, 'unlimited')
    await checkEnd()
    expect(server.stderr()).toBe('')
  })

  test('goes on by itself however often that happens, and no time counts as an attempt', async () => {
    const agent = join(folder, 'agents/patient.yaml')
    const text = readFileSync(agent, 'utf8')
    // So long that it is not over before anybody has seen that it goes on.
    writeFileSync(agent, text.replace('"1s"', '"1h"'))
    for (let n = 0; n < 3; n++) {
      limitFiles(server.pid, 'unlimited')
      await expect.poll(reason, { timeout: 30_000 }).toBe('model')
      limitFiles(server.pid, '4096')
      // What cannot be committed cuts the run.
      expect((await client.send('PATCH', `/${session.id}/title`, { title: 'ballast' })).status).toBe(503)
    }
    writeFileSync(agent, text)
    limitFiles(server.pid, 'unlimited')
    await checkEnd()
    const run = await client.get(`/${session.id}/runs/${started.run_id}`, Run)
    expect(run.attempt ?? 1).toBe(1)
  })

  test('goes on by itself in the next process', async () => {
    server.kill('SIGKILL')
    await server.exit
    client = await serve()
    await checkEnd()
  })

  test('goes on by itself after a process that had to end meanwhile', async () => {
    server.kill('SIGTERM')
    expect(await server.exit).toEqual({ code: 0, signal: null })
    client = await serve()
    await checkEnd()
  })

  /** Why the session is as it is, once that can be told. */
  async function reason(): Promise<unknown> {
    const { status, text } = await client.send('GET', `/${session.id}/explain`)
    return status === 200 ? Explanation.parse(JSON.parse(text)).reason : status
  }

  /** Nobody asks for the session before its run has ended: what is told over all sessions says when that is. */
  async function checkEnd(): Promise<void> {
    const status = async (): Promise<unknown> => {
      const answer = await fetch(`${await server.url}/api/events/snapshot`)
      return FleetSnapshot.parse(await answer.json()).sessions.map(({ id, status }) => [id, status])
    }
    await expect.poll(status, { timeout: 30_000 }).toEqual([[session.id, 'idle']])
    const run = await client.get(`/${session.id}/runs/${started.run_id}`, Run)
    expect(run).toMatchObject({ status: 'completed', first_seq: started.first_seq })
    await checkSession(client, session)
    const { messages } = await client.get(`/${session.id}`, SessionDetails)
    expect(messages?.at(-1)?.message.content).toBe('I wait, and now I say it.')
  }
})

describe('a database that is damaged while it is in use', () => {
  test('ends the process with code 70 as soon as that is seen', async () => {
    let client = await serve()
    const session = await create(client)
    await run(client, session)
    server.kill('SIGTERM')
    await server.exit
    client = await serve()
    damage(join(folder, 'quarterdeck.db'))
    await client.send('GET', `/${session.id}`)
    expect(await server.exit).toEqual({ code: 70, signal: null })
    expect(server.stderr()).toContain('the database is damaged')
  })
})

async function readiness(): Promise<unknown> {
  const response = await fetch(`${await server.url}/ready`)
  const { store_connected } = z.object({ store_connected: z.boolean() }).parse(await response.json())
  return { status: response.status, store_connected }
}

/** The largest file, in bytes, that a process may write to from now on; longer ones stay as they are. */
function limitFiles(pid: number, bytes: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`])
}

/** Overwrites everything behind the first page, which every connection has in memory. */
function damage(path: string): void {
  const page = 4096
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(statSync(path).size - page, 0xa5), 0, undefined, page)
  closeSync(file)
}
