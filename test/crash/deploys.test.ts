import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { Request, Run } from '../../src/protocol/protocol.ts'
import { equipped } from '../e2e/equipped.ts'
import { createSession, logOf, scripted, startRun, user } from '../e2e/house.ts'
import { type Started, start } from '../process.ts'
import { sh } from '../runtime/tool-bench.ts'
import { Client } from '../server/client.ts'
import { program } from './program.ts'

/** How many runs go on when the server is told to end. */
const runs = Number(process.env.QUARTERDECK_DEPLOY_RUNS ?? 120)

const Runs = z.array(Run)
const Requests = z.array(Request)
const effect = [[sh('echo begun >> effects; sleep 2; echo ended')], [{ text: 'worked' }]]

/** In turn: a long tool, an answer with something in the queue, a question to a person. */
const agents = {
  works: equipped({ toolsets: [{ type: 'shell' }] }, effect),
  says: scripted([{ text: 'one two three', every: '2s' }], [{ text: 'and more' }]),
  asks: equipped({ toolsets: [{ type: 'shell' }] }, effect),
}
const names = ['works', 'says', 'asks'] as const

interface Session {
  readonly id: string
  readonly runId: string
  readonly agent: (typeof names)[number]
  readonly dir: string
}

let folder: string
let server: Started

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-deploys-'))
  mkdirSync(join(folder, 'agents'))
  for (const [name, text] of Object.entries(agents)) writeFileSync(join(folder, `agents/${name}.yaml`), text)
})

afterEach(async () => {
  server.kill('SIGKILL')
  await server.exit
  rmSync(folder, { recursive: true })
})

function serve(limit = runs): void {
  const options = ['--listen', '127.0.0.1:0', '--max-concurrent-runs', String(limit)]
  server = start([program, 'serve', 'agents', ...options], { cwd: folder })
}

async function begin(client: Client, number: number): Promise<Session> {
  const agent = names[number % names.length] ?? 'says'
  const dir = join(folder, String(number))
  mkdirSync(dir)
  const id = await createSession(client, {
    title: `number ${number}`,
    working_dir: dir,
    ...(agent === 'works' && { safety_policy: 'autonomous' }),
  })
  const runId = await startRun(client, id, agent)
  if (agent === 'says') await client.call('followUp', { params: { id }, body: { messages: [user('more')] } })
  return { id, runId, agent, dir }
}

async function beginAll(client: Client): Promise<readonly Session[]> {
  const sessions: Session[] = []
  for (let number = 0; number < runs; number++) sessions.push(await begin(client, number))
  return sessions
}

/** The questions that are open, by session. */
async function questions(client: Client): Promise<ReadonlyMap<string, string>> {
  const { body } = await client.call('listInbox', { query: { limit: '1000' } })
  return new Map(Requests.parse(body).map(({ session_id, id }) => [session_id, id]))
}

async function runOf(client: Client, { id, runId }: Session): Promise<Run | undefined> {
  return Runs.parse((await client.call('listRuns', { params: { id } })).body).find(({ run_id }) => run_id === runId)
}

function effects({ dir }: Session): number {
  const path = join(dir, 'effects')
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0
}

async function checkEnd(client: Client, session: Session): Promise<Run | undefined> {
  await expect.poll(() => runOf(client, session), { timeout: 300_000 }).toMatchObject({ status: 'completed' })
  const log = await logOf(client, session.id)
  const count = (type: string): number => log.filter((event) => event.type === type).length
  expect([count('stream_started'), count('stream_stopped')]).toEqual([1, 1])
  // What was asked, and what waited in the queue: each was delivered once.
  expect(count('user_message')).toBe(session.agent === 'says' ? 2 : 1)
  expect(effects(session)).toBe(session.agent === 'says' ? 0 : 1)
  return runOf(client, session)
}

test(`${runs} runs go on over deploys, a deploy during the start and a kill, with nothing lost or repeated`, async () => {
  serve()
  const first = new Client(await server.url)
  const sessions = await beginAll(first)
  const asking = sessions.filter(({ agent }) => agent === 'asks')
  await expect.poll(async () => (await questions(first)).size, { timeout: 60_000 }).toBe(asking.length)
  const asked = await questions(first)
  server.kill('SIGTERM')
  expect(await server.exit).toEqual({ code: 0, signal: null })

  // The next one is told to end while it takes them up.
  serve()
  await server.logged('Server listening')
  server.kill('SIGTERM')
  expect(await server.exit).toEqual({ code: 0, signal: null })

  // One that allows less is killed while some of them wait.
  serve(runs / 6)
  await server.url
  expect(server.stderr()).toMatch(/"resumed":[1-9]\d+,.*took up the runs/)
  server.kill('SIGKILL')
  await server.exit

  serve()
  const last = new Client(await server.url)
  const open = await questions(last)
  for (const { id } of asking) {
    expect(open.get(id)).toBe(asked.get(id))
    const params = { id, request_id: open.get(id) ?? '' }
    const answer = await last.call('answerRequest', { params, body: { confirmation: 'approve' } })
    expect(answer.status).toBe(200)
  }
  for (const session of sessions) {
    const run = await checkEnd(last, session)
    // Only the process that was killed may count.
    expect(run?.attempt ?? 1).toBeLessThanOrEqual(2)
  }
  server.kill('SIGTERM')
  expect(await server.exit).toEqual({ code: 0, signal: null })
})

test('a second signal ends the process at once while its runs come to rest, and the next one goes on with them', async () => {
  serve()
  const first = new Client(await server.url)
  const session = await begin(first, 0)
  await expect.poll(() => effects(session), { timeout: 60_000 }).toBe(1)
  server.kill('SIGTERM')
  await server.logged('closing')
  server.kill('SIGINT')
  expect(await server.exit).toEqual({ code: 130, signal: null })
  serve()
  expect((await checkEnd(new Client(await server.url), session))?.attempt).toBe(2)
})
