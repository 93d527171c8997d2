import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { Run, SessionSummary, TokenUsage } from '../../src/protocol/protocol.ts'
import { sh } from '../runtime/tool-bench.ts'
import { Client } from '../server/client.ts'
import { all, blocksOf, eventsOf, until } from '../server/frames.ts'
import { tempDir } from '../store/temp-dir.ts'
import { equipped, resultsIn } from './equipped.ts'
import { createSession, House, logOf, scripted, startRun, user } from './house.ts'
import { watchLog } from './log-watch.ts'
import { serve } from './program.ts'
import { team, transfers } from './team.ts'

/** Notes that it began, and does not end while the file `hold` is there. */
const slow = 'echo begun >> effects; while [ -e hold ]; do sleep 0.02; done; echo ended'
const unknown = expect.stringContaining('It is unknown whether it took effect.')
const last = [{ text: 'all done' }]

interface Site extends AsyncDisposable {
  readonly client: Client
  readonly id: string
  /** Where the tools work. */
  readonly dir: string
  effects(): number
  /** Ends the server with a signal and starts the next one. */
  next(signal: 'SIGKILL' | 'SIGTERM', options?: readonly string[]): Promise<Client>
}

/** The built program or its sources on an agent, with a detached run whose tool has begun to work. */
async function site(file: string, options: readonly string[] = []): Promise<Site> {
  const house = await House.open({ files: { it: file } })
  const [dir, database] = [tempDir(), join(tempDir(), 'sessions.db')]
  let server = serve(house.agents, database, options)
  const client = new Client(await server.url)
  writeFileSync(join(dir, 'hold'), '')
  const id = await createSession(client, { safety_policy: 'autonomous', title: 'A title', working_dir: dir })
  await startRun(client, id, 'it')
  const effects = () =>
    existsSync(join(dir, 'effects')) ? readFileSync(join(dir, 'effects'), 'utf8').split('\n').length - 1 : 0
  await vi.waitUntil(() => effects() === 1, { timeout: 60_000, interval: 20 })
  return {
    client,
    id,
    dir,
    effects,
    async next(signal, more = options) {
      server.kill(signal)
      await server.exit
      server = serve(house.agents, database, more)
      return new Client(await server.url)
    },
    [Symbol.asyncDispose]: () => house[Symbol.asyncDispose](),
  }
}

async function ended(client: Client, id: string): Promise<Run | undefined> {
  await using watch = await watchLog(client, id)
  await watch.until(({ type, session_id }) => type === 'stream_stopped' && session_id === id)
  const runs = Run.array().parse((await client.call('listRuns', { params: { id } })).body)
  expect(runs).toHaveLength(1)
  const log = await logOf(client, id)
  for (const type of ['stream_started', 'stream_stopped']) {
    expect(log.filter((event) => event.type === type && event.session_id === id)).toHaveLength(1)
  }
  return runs[0]
}

const shell = equipped({ toolsets: [{ type: 'shell' }] }, [[sh(slow)], last, last])

describe('A detached run whose server is killed', () => {
  test('reads of its tool that it is unknown whether it took effect, which it took once', async () => {
    await using at = await site(shell)
    const posted = { params: { id: at.id }, body: { messages: [user('steered')] } }
    expect((await at.client.call('steer', posted)).status).toBe(202)
    const follow = { params: { id: at.id }, body: { messages: [user('followed')] } }
    expect((await at.client.call('followUp', follow)).status).toBe(202)
    const client = await at.next('SIGKILL')
    expect(await ended(client, at.id)).toMatchObject({ status: 'completed', attempt: 2 })
    expect([at.effects(), await resultsIn(client, at.id)]).toEqual([1, [unknown]])
    const log = await logOf(client, at.id)
    expect(log.flatMap(({ type, message }) => (type === 'user_message' ? [message] : []))).toEqual([
      'go on',
      'steered',
      'followed',
    ])
    expect(log.filter(({ type }) => type === 'run_recovered')).toMatchObject([{ cause: 'crash', attempt: 2 }])
  })

  test('runs a tool again that is safe, after two kills', async () => {
    const agent = { toolsets: [{ type: 'shell', rerun: 'safe' }] }
    const again = 'echo begun >> effects; if [ $(wc -l < effects) -lt 3 ]; then sleep 1000; fi; echo ended'
    await using at = await site(equipped(agent, [[sh(again)], last]))
    await at.next('SIGKILL')
    await vi.waitUntil(() => at.effects() === 2, { timeout: 60_000, interval: 20 })
    const client = await at.next('SIGKILL')
    expect(await ended(client, at.id)).toMatchObject({ status: 'completed', attempt: 3 })
    expect([at.effects(), await resultsIn(client, at.id)]).toEqual([3, ['ended\n']])
  })

  test('waits for its task again, which goes on, and has used up no attempt itself', async () => {
    const it = team({
      root: { agent: { sub_agents: ['worker'] }, turns: [[transfers('worker', 'work')], last] },
      worker: { agent: { toolsets: [{ type: 'shell' }] }, turns: [[sh(slow)], [{ text: 'worked' }]] },
    })
    await using at = await site(it)
    const client = await at.next('SIGKILL')
    expect(await ended(client, at.id)).toMatchObject({ status: 'completed', attempt: 1 })
    expect([at.effects(), await resultsIn(client, at.id)]).toEqual([1, [unknown, 'worked']])
    const [task, ...others] = SessionSummary.array().parse(
      (await client.call('listChildren', { params: { id: at.id } })).body,
    )
    expect([others, await ended(client, task?.id ?? '')]).toMatchObject([[], { attempt: 2 }])
  })

  test.each([
    { options: ['--recovery', 'interrupt'], run: { status: 'interrupted', reason: 'interrupted' } },
    { options: ['--recovery-attempts', '1'], run: { status: 'failed', error: { code: 'attempts_exhausted' } } },
  ])('does not go on with $options', async ({ options, run }) => {
    await using at = await site(shell, options)
    const client = await at.next('SIGKILL')
    expect(await ended(client, at.id)).toMatchObject(run)
    expect([at.effects(), await resultsIn(client, at.id)]).toEqual([1, [unknown]])
  })

  test('goes on when a person wants it, with --recovery ask', async () => {
    await using at = await site(shell, ['--recovery', 'ask'])
    const client = await at.next('SIGKILL')
    await using watch = await watchLog(client, at.id)
    expect(await watch.untilType('request_opened')).toMatchObject({ request: { content: { kind: 'recovery' } } })
    const answer = { params: { id: at.id }, body: { confirmation: 'approve' } }
    expect((await client.call('resume', answer)).status).toBe(200)
    expect(await ended(client, at.id)).toMatchObject({ status: 'completed' })
    expect(at.effects()).toBe(1)
  })
})

test('A run that is killed while its tool works has spent what the answer before took', async () => {
  const file = equipped({ toolsets: [{ type: 'shell' }] }, [[sh(slow)], last], { budget: { max_tokens: 100_000 } })
  await using at = await site(file)
  const before = await logOf(at.client, at.id)
  const client = await at.next('SIGKILL')
  await ended(client, at.id)
  const log = (await logOf(client, at.id)).slice(before.length)
  const budgets = log.find(({ type }) => type === 'budget_usage')?.budgets
  const { input_tokens, output_tokens } = TokenUsage.parse(before.find(({ type }) => type === 'token_usage')?.usage)
  expect(budgets).toMatchObject([{ name: 'run', tokens: input_tokens + output_tokens }])
})

test('An answer that ends while the server does is told with all that it took', async () => {
  const file = equipped({}, [[{ text: 'one two three four five', every: '100ms' }]], {
    budget: { max_tokens: 100_000 },
  })
  await using house = await House.open({ files: { it: file } })
  const database = join(tempDir(), 'sessions.db')
  const server = serve(house.agents, database, ['--shutdown-grace', '20s'])
  const client = new Client(await server.url)
  const id = await createSession(client, { title: 'A title' })
  const run_id = await startRun(client, id, 'it')
  await using watch = await watchLog(client, id)
  await watch.untilType('agent_choice')
  server.kill('SIGTERM')
  await server.exit
  const next = new Client(await serve(house.agents, database).url)
  expect(await ended(next, id)).toMatchObject({ run_id, status: 'completed' })
  const told = new Set(['message_added', 'token_usage', 'budget_usage', 'run_recovered'])
  const types = (await logOf(next, id)).map(({ type }) => type).filter((type) => told.has(type))
  expect(types).toEqual([
    'budget_usage',
    'message_added',
    'token_usage',
    'budget_usage',
    'run_recovered',
    'budget_usage',
  ])
})

test('A streamed run with a key is shown to a repeat from its first event to its last, across the kill', async () => {
  await using house = await House.open({
    files: { it: scripted([{ text: 'one two three four five', every: '200ms' }]) },
  })
  const database = join(tempDir(), 'sessions.db')
  const server = serve(house.agents, database)
  const client = new Client(await server.url)
  const id = await createSession(client)
  const posted = {
    params: { id, agent: 'it' },
    query: { on_disconnect: 'cancel' },
    body: { messages: [user('go on')] },
    headers: { 'idempotency-key': 'one' },
  }
  await until(blocksOf(await client.open('streamRun', posted)), ({ event }) => event?.type === 'agent_choice')
  server.kill('SIGKILL')
  await server.exit
  const next = new Client(await serve(house.agents, database).url)
  const response = await next.open('streamRun', posted)
  expect([response.status, response.headers.get('idempotency-replayed')]).toEqual([200, 'true'])
  const seen = await all(eventsOf(response))
  expect(seen.map((block) => block.id)).toEqual(seen.map((_, n) => n + 1))
  expect(seen.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
  const counted = ['user_message', 'stream_started', 'run_recovered', 'stream_stopped']
  for (const type of counted) expect(seen.filter(({ event }) => event?.type === type)).toHaveLength(1)
})

describe('A detached run whose server ends in order', () => {
  test('lets its tool end, and goes on in the next server with nothing repeated', async () => {
    const paced = equipped({ toolsets: [{ type: 'shell' }] }, [
      [sh('echo begun >> effects; sleep 2; echo ended')],
      last,
    ])
    await using at = await site(paced, ['--shutdown-grace', '20s'])
    const client = await at.next('SIGTERM')
    expect((await ended(client, at.id))?.attempt ?? 1).toBe(1)
    expect([at.effects(), await resultsIn(client, at.id)]).toEqual([1, ['ended\n']])
    expect((await logOf(client, at.id)).filter(({ type }) => type === 'run_recovered')).toMatchObject([
      { cause: 'handover', attempt: 1 },
    ])
  })
})
