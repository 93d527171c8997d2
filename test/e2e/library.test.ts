import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type Attachment,
  buildServer,
  createMemoryStore,
  type ForeignEvent,
  listen,
  parseListenAddress,
  SessionManager,
} from '../../src/index.ts'
import { start } from '../process.ts'
import { Client } from '../server/client.ts'
import { eventsOf, isOfType, until } from '../server/frames.ts'
import { echo, runtimeOf, TestAgents } from '../session-manager/test-agents.ts'
import { tempDir } from '../store/temp-dir.ts'
import { createSession, snapshotOf, startRun, user } from './house.ts'
import { managedServer } from './managed-server.ts'
import { curl, lineToTry, root, serve, shell, untilTheEnd } from './program.ts'
import { readRun, said } from './resuming-reader.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

function blockOf(language: string, part: string): string {
  const blocks = [...readme.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block)
  const found = blocks.find((block) => block.includes(part))
  if (found === undefined) throw new Error(`the README has no ${language} block with ${part}`)
  return found
}

describe('A program that embeds the server', () => {
  test('is what the README shows', async () => {
    const file = join(tempDir(), 'embedding.ts')
    const agents = `import { TestAgents, echo } from '${root}/test/session-manager/test-agents.ts'
const myAgents = new TestAgents({ chat: { root: echo } })\n`
    const code = blockOf('ts', 'buildServer').replace("from 'quarterdeck'", `from '${root}/src/index.ts'`)
    const announced = code.replace('console.log(await', "console.log('quarterdeck listens on', await")
    writeFileSync(file, agents + announced)
    const program = untilTheEnd(start([file]))
    const client = new Client(await program.url)
    const id = await createSession(client)
    const { frames } = await readRun(client.url, id, { agent: 'chat', text: 'hello', cuts: [] })
    expect(said(frames)).toBe('you said hello')
    expect((await client.call('health')).body).toEqual({ status: 'ok', version: '1.0.0' })
  })

  test('can serve one manager at two addresses, and closing a server leaves the manager as it is', async () => {
    const manager = new SessionManager({ store: createMemoryStore(), agents: new TestAgents({ chat: { root: echo } }) })
    await manager.start()
    const open = async (version: string) => {
      const server = await buildServer(manager, { version, closeGraceMs: 50 })
      return { server, client: new Client(await listen(server, parseListenAddress('127.0.0.1:0'))) }
    }
    const first = await open('first')
    const second = await open('second')
    const id = await createSession(first.client)
    const tail = eventsOf(await first.client.open('getEvents', { params: { id } }))
    await startRun(second.client, id, 'chat')
    const last = await until(tail, isOfType('stream_stopped'))
    expect((await snapshotOf(second.client, id)).last_event_seq).toBe(last.id)

    await first.server.close()
    expect((await tail.next()).done).toBe(true)
    expect(manager.readiness).toMatchObject({ ready: true, phase: 'ready' })
    await startRun(second.client, id, 'chat')
    await manager.waitStopped(id, 10_000)
    await second.server.close()
    expect((await manager.getSession(id)).messages).toHaveLength(4)
    await manager.close()
  })

  test('can carry out the runs of a session itself, and is told when it is deleted', async () => {
    await using server = await managedServer()
    const { client, manager } = server
    const id = await createSession(client)
    const attached = await manager.attachRuntime(id, runtimeOf('mine', echo))
    const { frames } = await readRun(client.url, id, { agent: 'whatever', text: 'hello', cuts: [] })
    expect(said(frames)).toBe('you said hello')
    expect(await snapshotOf(client, id)).toMatchObject({ agent: 'mine' })
    await deleted(client, id, attached)
  })

  test('can feed the log of a session, for readers that come later too', async () => {
    await using server = await managedServer()
    const { client, manager } = server
    const id = await createSession(client)
    const events: readonly ForeignEvent[] = Array.from({ length: 500 }, (_, n) => ({ type: 'mine', n }))
    const fed = Promise.withResolvers<void>()
    const attached = await manager.registerEventSource(id, async function* (signal) {
      yield* events
      fed.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    })
    expect(manager.hasEventSource(id)).toBe(true)
    await fed.promise
    const tail = eventsOf(await client.open('getEvents', { params: { id } }))
    for (const event of events) expect((await tail.next()).value?.event).toEqual(event)
    await tail.return()
    await deleted(client, id, attached)
  })

  test('can take follow-ups as user input', async () => {
    await using server = await managedServer()
    const { client, manager } = server
    const id = await createSession(client)
    await readRun(client.url, id, { agent: 'chat', text: 'hello', cuts: [] })
    const taken: string[] = []
    const attached = await manager.registerFollowUpInjector(id, ({ content }) => {
      taken.push(content)
    })
    const say = () => {
      const headers = { 'idempotency-key': 'once' }
      return client.call('followUp', { params: { id }, headers, body: { messages: [user('more'), user('and more')] } })
    }
    expect((await say()).body).toEqual({ status: 'queued_streaming', duplicate: false })
    expect((await say()).body).toEqual({ status: 'duplicate', duplicate: true })
    expect(taken).toEqual(['more', 'and more'])
    await deleted(client, id, attached)
  })
})

/** Deletes a session over HTTP: what was attached to it is told. */
async function deleted(client: Client, id: string, { signal }: Attachment): Promise<void> {
  expect(signal.aborted).toBe(false)
  expect((await client.call('deleteSession', { params: { id } })).status).toBe(200)
  expect(signal.aborted).toBe(true)
  expect(await client.call('getSession', { params: { id } })).toMatchObject({ code: 'unknown_session' })
}

describe.skipIf(!curl)('The program (skipped where there is no curl)', () => {
  test('prints a line of curl that creates a session and streams a run', async () => {
    const server = serve('examples', join(tempDir(), 'sessions.db'))
    const line = await lineToTry(server)
    expect(line).toContain('/agent/demo')
    const { stdout } = await shell(line)
    expect(stdout()).toContain('Welcome')
    expect(stdout()).toContain('"type":"stream_stopped","reason":"normal"')
  })

  test('prints one that bears the token and goes through a socket, where there are such', async () => {
    const dir = tempDir()
    const token = { QUARTERDECK_AUTH_TOKEN: 'hush-hush' }
    const options = ['--listen', `unix://${join(dir, 'a.sock')}`]
    const server = serve('examples/echo.yaml', join(dir, 'sessions.db'), options, token)
    const line = await lineToTry(server)
    expect((await shell(line, token)).stdout()).toContain('"type":"stream_stopped","reason":"normal"')
    expect((await shell(line)).stdout()).not.toContain('stream_stopped')
  })

  test('does what the README lets a newcomer try in five minutes', async () => {
    const url = await serve('examples', join(tempDir(), 'sessions.db')).url
    const tour = blockOf('sh', '/snapshot').replace(/^URL=\S+/, `URL=${url}/api/sessions`)
    const { stdout } = await shell(`${tour}kill $!`)
    const said = stdout()
    expect(said).toContain('"first_seq":1')
    expect(said).toContain('{"status":"queued"}')
    expect(said).toContain('{"status":"queued_streaming","duplicate":false}')
    expect(said).toContain('{"message":"run stopped"')
    expect(said).toMatch(/"last_event_seq":\d+/)
    expect(said).toContain('"type":"stream_stopped","reason":"canceled"')
  })
})
