import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type ForeignEvent, SessionSummary } from '../../src/protocol/protocol.ts'
import { sh } from '../runtime/tool-bench.ts'
import {
  type Answer,
  hangs,
  reports,
  reportsCalls,
  says,
  startUpstream,
  type Upstream,
  waits,
  wants,
} from '../runtime/upstream.ts'
import type { Client } from '../server/client.ts'
import { tempDir } from '../store/temp-dir.ts'
import { resultsIn } from './equipped.ts'
import { createSession, House, snapshotOf, startRun } from './house.ts'
import { watchLog } from './log-watch.ts'
import { priced, runsOf, sentTo, systemOf, variables } from './long-session.ts'
import { team, transfers } from './team.ts'

const think = { toolsets: [{ type: 'think' }] }
const thinks = wants(['think', { thought: 'hm' }])

const Raised = z.object({ run_id: z.string().optional(), paused: z.unknown().optional(), spent: z.looseObject({}) })

async function raise(client: Client, id: string, limits: object) {
  const { status, body } = await client.call('setBudget', { params: { id }, body: limits })
  expect(status).toBe(200)
  return Raised.parse(body)
}

/** Everything that says whether a session is paused. */
async function pausedIn(client: Client, id: string): Promise<readonly unknown[]> {
  const params = { id }
  const details = z
    .looseObject({ paused: z.unknown().optional() })
    .parse((await client.call('getSession', { params })).body)
  const list = SessionSummary.array().parse((await client.call('listSessions', {})).body)
  const { paused } = await snapshotOf(client, id)
  return [paused, details.paused, list.find((entry) => entry.id === id)?.paused]
}

async function withAnswers(
  answers: readonly Answer[],
  keys: Parameters<typeof priced>[1],
  use: (house: House, upstream: Upstream) => Promise<void>,
) {
  await using upstream = await startUpstream(...answers)
  await using house = await House.open({ files: { it: priced(upstream.url, keys) }, variables })
  await use(house, upstream)
}

const is = (type: string, session: string) => (event: ForeignEvent) =>
  event.type === type && event.session_id === session

describe('The budget of a session', () => {
  /** The server reports nothing with calls of tools, so they are free. */
  const agent = think
  const answers = [reports(60, 40, 'first'), thinks, reports(100, 20, 'second'), says('third')]

  test('pauses it, which says so, also after a restart, until the budget is raised', () =>
    withAnswers(answers, { agent }, async (house, upstream) => {
      const id = await createSession(house.client, { title: 'A title', budget: { max_cost: 100 } })
      await startRun(house.client, id, 'it', 'a')
      await using watch = await watchLog(house.client, id)
      expect(await watch.untilType('stream_stopped')).toMatchObject({ reason: 'normal' })
      expect(await pausedIn(house.client, id)).toEqual([undefined, undefined, undefined])
      await startRun(house.client, id, 'it', 'b')
      expect(await watch.untilType('stream_stopped', 2)).toMatchObject({ reason: 'budget_exceeded' })
      const told = { budget: 'session', limit: 'max_cost', used: 100, max: 100, config_path: 'session.budget.max_cost' }
      expect(await watch.untilType('budget_exceeded')).toMatchObject(told)
      const paused = [1, 2, 3].map(() => expect.objectContaining(told))
      expect(await pausedIn(house.client, id)).toEqual(paused)
      expect((await runsOf(house.client, id)).at(-1)).toMatchObject({ status: 'paused', reason: 'budget_exceeded' })
      expect(upstream.calls).toHaveLength(1)

      await house.restart()
      const { client } = house
      await using after = await watchLog(client, id)
      expect(await pausedIn(client, id)).toEqual(paused)
      const { run_id, paused: still } = await raise(client, id, { max_cost: 1000 })
      expect(still).toBeUndefined()
      expect(await after.untilType('stream_stopped', 3)).toMatchObject({ reason: 'normal', run_id })
      expect(sentTo(upstream)).toEqual([
        'user: a',
        'assistant: first',
        'user: b',
        'assistant: [1 calls]',
        expect.stringMatching(/^tool: /),
      ])
      expect((await runsOf(client, id)).map(({ trigger }) => trigger)).toEqual(['detached', 'detached', 'budget'])
      expect(await pausedIn(client, id)).toEqual([undefined, undefined, undefined])
      expect(await snapshotOf(client, id)).toMatchObject({ spent: { cost: 220, tokens: 220 }, cost: 220 })
    }))

  test('pauses it between a tool and the next model call, and nothing of that is lost', () =>
    withAnswers(
      [reportsCalls(60, 40, ['think', { thought: 'a' }], ['think', { thought: 'b' }]), says('done')],
      { agent },
      async ({ client }, upstream) => {
        const id = await createSession(client, { title: 'A title', budget: { max_tokens: 100 } })
        await using watch = await watchLog(client, id)
        await startRun(client, id, 'it', 'a')
        expect(await watch.untilType('stream_stopped')).toMatchObject({ reason: 'budget_exceeded' })
        await client.call('steer', { params: { id }, body: { messages: [{ role: 'user', content: 'b' }] } })
        await raise(client, id, { max_tokens: 500 })
        expect(await watch.untilType('stream_stopped', 2)).toMatchObject({ reason: 'normal' })
        expect(sentTo(upstream)).toEqual([
          'user: a',
          'assistant: [2 calls]',
          expect.stringMatching(/^tool: /),
          expect.stringMatching(/^tool: /),
          'user: b',
        ])
      },
    ))

  test('starts nothing while it is still used up, and keeps the change', () =>
    withAnswers(answers, { agent }, async ({ client }) => {
      const id = await createSession(client, { title: 'A title', budget: { max_cost: 50 } })
      await using watch = await watchLog(client, id)
      for (const nth of [1, 2]) {
        await startRun(client, id, 'it', 'a')
        await watch.untilType('stream_stopped', nth)
      }
      const { run_id, paused } = await raise(client, id, { max_cost: 90, max_time: '1h' })
      expect([run_id, paused]).toEqual([undefined, expect.objectContaining({ budget: 'session' })])
      expect(await snapshotOf(client, id)).toMatchObject({ budget: { max_cost: 90, max_time: '1h' } })
      expect((await raise(client, id, { max_tokens: 100 })).run_id).toBeUndefined()
      expect((await raise(client, id, { max_cost: 0 })).run_id).toBeUndefined()
      expect(await runsOf(client, id)).toHaveLength(2)
      expect((await raise(client, id, { max_tokens: 0 })).run_id).toBeDefined()
      expect(await watch.untilType('stream_stopped', 3)).toMatchObject({ reason: 'normal' })
    }))

  test('lets it go on once, however many raise it at once', () =>
    withAnswers([reports(60, 40, 'first'), says('second')], {}, async ({ client }) => {
      const id = await createSession(client, { title: 'A title', budget: { max_cost: 50 } })
      await using watch = await watchLog(client, id)
      for (const nth of [1, 2]) {
        await startRun(client, id, 'it', 'a')
        await watch.untilType('stream_stopped', nth)
      }
      const answers = await Promise.all([200, 300, 400, 500].map((max_cost) => raise(client, id, { max_cost })))
      expect(answers.filter(({ run_id }) => run_id !== undefined)).toHaveLength(1)
      await watch.untilType('stream_stopped', 3)
      expect((await runsOf(client, id)).filter(({ trigger }) => trigger === 'budget')).toHaveLength(1)
    }))

  test('can be set before anything has run, and while a run goes on', async () => {
    const gate = Promise.withResolvers<void>()
    const answers = [waits(gate.promise, thinks), thinks, says('never')]
    await withAnswers([reports(5, 5, 'zero'), ...answers], { agent }, async ({ client }, upstream) => {
      const id = await createSession(client, { title: 'A title' })
      expect(await raise(client, id, { max_cost: 1000 })).toMatchObject({ spent: { cost: 0 } })
      expect(await runsOf(client, id)).toEqual([])
      await using watch = await watchLog(client, id)
      await startRun(client, id, 'it', 'a')
      await watch.untilType('stream_stopped')
      await startRun(client, id, 'it', 'b')
      await watch.untilType('agent_info', 2)
      expect((await raise(client, id, { max_cost: 10 })).run_id).toBeUndefined()
      gate.resolve()
      expect(await watch.untilType('stream_stopped', 2)).toMatchObject({ reason: 'budget_exceeded' })
      expect(upstream.calls).toHaveLength(2)
      expect(await watch.untilType('session_updated')).toMatchObject({ budget: { max_cost: 1000 } })
    })
  })

  test('is told to the agent when four fifths of it are spent', () =>
    withAnswers([reports(60, 20, 'first'), says('second')], {}, async ({ client }, upstream) => {
      const id = await createSession(client, { title: 'A title', budget: { max_tokens: 100 } })
      await using watch = await watchLog(client, id)
      for (const nth of [1, 2]) {
        await startRun(client, id, 'it', 'a')
        await watch.untilType('stream_stopped', nth)
      }
      expect([systemOf(upstream, 0), systemOf(upstream, 1)]).toEqual(['', expect.stringMatching(/nearly used up/)])
      expect(await watch.untilType('budget_usage', 4)).toMatchObject({
        budgets: [{ name: 'session', tokens: 90, max_tokens: 100 }],
      })
    }))

  test('does not count the time in which an approval waits', async () => {
    const turns = [[sh('true')], [{ text: 'done' }]]
    const it = team({ root: { agent: { toolsets: [{ type: 'shell' }] }, turns } })
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const settings = { title: 'A title', safety_policy: 'strict', working_dir: tempDir(), budget: { max_time: '1h' } }
    const id = await createSession(client, settings)
    await using watch = await watchLog(client, id)
    const begun = performance.now()
    await startRun(client, id, 'it')
    await watch.untilType('tool_call_confirmation')
    const asked = performance.now()
    for (let visit = 0; visit < 100; visit++) await snapshotOf(client, id)
    const waited = performance.now() - asked
    await client.call('resume', { params: { id }, body: { confirmation: 'approve' } })
    await watch.untilType('stream_stopped')
    const worked = performance.now() - begun - waited
    const { spent } = await snapshotOf(client, id)
    expect(spent?.elapsed_seconds).toBeGreaterThan(0)
    expect(spent?.elapsed_seconds).toBeLessThan(worked / 1000)
  })

  test('stops a run by its time', async () => {
    const it = team({ root: { agent: { toolsets: [{ type: 'shell' }] }, turns: [[sh('true')], [{ text: 'never' }]] } })
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const settings = { title: 'A title', tools_approved: true, working_dir: tempDir(), budget: { max_time: '1us' } }
    const id = await createSession(client, settings)
    await using watch = await watchLog(client, id)
    await startRun(client, id, 'it')
    expect(await watch.untilType('stream_stopped')).toMatchObject({ reason: 'budget_exceeded' })
    expect(await snapshotOf(client, id)).toMatchObject({ paused: { limit: 'max_time', max: 1e-6 } })
  })
})

describe('The budgets of a file', () => {
  test('pause a session too, and begin anew with the run that goes on', () => {
    const gate = Promise.withResolvers<void>()
    return withAnswers(
      [reports(60, 40, ''), waits(gate.promise, reports(60, 40, 'first')), thinks, says('second')],
      { agent: think, file: { budget: { max_tokens: 100 } } },
      async ({ client }, upstream) => {
        const id = await createSession(client, { title: 'A title' })
        await using watch = await watchLog(client, id)
        await startRun(client, id, 'it', 'a')
        // An answer that says nothing ends the run, and has cost what it has cost.
        expect(await watch.untilType('stream_stopped')).toMatchObject({ reason: 'normal' })
        expect(await snapshotOf(client, id)).toMatchObject({ spent: { tokens: 100 }, cost: 100 })
        const [run] = await runsOf(client, id)
        expect(run).toMatchObject({ cost: 100, usage: { input_tokens: 60, output_tokens: 40 } })
        await startRun(client, id, 'it', 'b')
        await client.call('followUp', { params: { id }, body: { messages: [{ role: 'user', content: 'c' }] } })
        gate.resolve()
        expect(await watch.untilType('stream_stopped', 2)).toMatchObject({ reason: 'budget_exceeded' })
        expect(await snapshotOf(client, id)).toMatchObject({
          paused: { budget: 'run', config_path: 'budget.max_tokens' },
        })
        expect((await raise(client, id, {})).run_id).toBeDefined()
        expect(await watch.untilType('stream_stopped', 3)).toMatchObject({ reason: 'normal' })
        expect(sentTo(upstream, 2)).toEqual(['user: a', 'user: b', 'assistant: first', 'user: c'])
      },
    )
  })

  test('stay paused while the history is compacted, which nothing but the session itself forbids', () => {
    const gate = Promise.withResolvers<void>()
    return withAnswers(
      [waits(gate.promise, reports(60, 40, 'first')), says('in short'), says('second')],
      { window: 1000, file: { budget: { max_tokens: 100 } } },
      async ({ client }, upstream) => {
        const id = await createSession(client, { title: 'A title' })
        await using watch = await watchLog(client, id)
        await startRun(client, id, 'it', 'a'.repeat(1000))
        await client.call('followUp', { params: { id }, body: { messages: [{ role: 'user', content: 'c' }] } })
        gate.resolve()
        await watch.untilType('stream_stopped')
        const paused = [1, 2, 3].map(() => expect.objectContaining({ budget: 'run' }))
        expect(await pausedIn(client, id)).toEqual(paused)
        await client.call('compact', { params: { id } })
        expect(await watch.untilType('stream_stopped', 2)).toMatchObject({ reason: 'normal' })
        expect(await pausedIn(client, id)).toEqual(paused)
        expect(await snapshotOf(client, id)).toMatchObject({ spent: { tokens: 110 }, cost: 110 })
        await raise(client, id, { max_tokens: 110 })
        await client.call('compact', { params: { id } })
        expect(await watch.untilType('stream_stopped', 3)).toMatchObject({ reason: 'budget_exceeded' })
        expect(upstream.calls).toHaveLength(2)
        await raise(client, id, { max_tokens: 1000 })
        await watch.untilType('stream_stopped', 4)
        expect(sentTo(upstream)).toEqual([
          'user: Summary of the conversation so far:\n\nin short',
          'assistant: first',
          'user: c',
        ])
      },
    )
  })

  test('stop the agents alone that name them, and count them together', async () => {
    const it = team(
      {
        root: {
          agent: { sub_agents: ['poet', 'thinker'] },
          turns: [
            [transfers('poet', 'one')],
            [transfers('thinker', 'two')],
            [transfers('poet', 'three')],
            [{ text: 'so' }],
          ],
        },
        poet: { agent: { budgets: ['verse'] }, turns: [[{ text: 'moon, June' }]] },
        thinker: { turns: [[{ text: 'hm' }]] },
      },
      { budgets: { verse: { max_tokens: 1 } } },
    )
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const id = await createSession(client, { title: 'A title', tools_approved: true })
    await using watch = await watchLog(client, id)
    await startRun(client, id, 'it')
    expect(await watch.until(is('stream_stopped', id))).toMatchObject({ reason: 'normal' })
    const stops = watch.events.filter(({ type }) => type === 'stream_stopped').map(({ reason }) => reason)
    expect(stops).toEqual(['normal', 'normal', 'budget_exceeded', 'normal'])
    expect(await watch.untilType('budget_exceeded')).toMatchObject({ agent_name: 'poet', budget: 'verse' })
    expect((await snapshotOf(client, id)).paused).toBeUndefined()
    expect((await resultsIn(client, id)).at(-1)).toMatch(/poet could not do the task: .* used up/)
  })

  test('count the tasks of a run, which stops after the task', async () => {
    const it = team(
      {
        root: { agent: { sub_agents: ['poet'] }, turns: [[transfers('poet', 'one')], [{ text: 'it says so' }]] },
        poet: { turns: [[{ text: 'moon, June '.repeat(100) }]] },
      },
      { budget: { max_tokens: 250 } },
    )
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const id = await createSession(client, { title: 'A title', tools_approved: true })
    await using watch = await watchLog(client, id)
    await startRun(client, id, 'it')
    expect(await watch.until(is('stream_stopped', id))).toMatchObject({ reason: 'budget_exceeded' })
    expect(await snapshotOf(client, id)).toMatchObject({ paused: { budget: 'run' } })
    const usage = watch.events.findLast(({ type }) => type === 'budget_usage')
    expect(usage).toMatchObject({ budgets: [{ per_agent: [{ agent_name: 'root' }, { agent_name: 'poet' }] }] })
    expect((await raise(client, id, {})).run_id).toBeDefined()
    expect(await watch.until(is('stream_stopped', id), 2)).toMatchObject({ reason: 'normal' })
  })
})

test('A paused session keeps what was steered in, and what a background task has to say, until it goes on', async () => {
  const [first, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const background = ['run_background_agent', { agent: 'poet', task: 'one' }] as const
  const begins = waits(first.promise, reportsCalls(60, 40, background))
  await using upstream = await startUpstream(begins, says('done'), says('and now this'))
  await using poet = await startUpstream(waits(gate.promise, says('moon, June')))
  const agent = { sub_agents: ['poet'], toolsets: [{ type: 'background_agents', recall: true }] }
  const root = JSON.parse(priced(upstream.url, { agent, file: { budget: { max_tokens: 100 } } }))
  const other = { provider: 'openai', model: 'gpt-test', base_url: poet.url }
  const models = { ...root.models, other }
  const it = JSON.stringify({ ...root, models, agents: { ...root.agents, poet: { model: 'other' } } })
  await using house = await House.open({ files: { it }, variables })
  const { client } = house
  const id = await createSession(client, { title: 'A title', tools_approved: true })
  await using watch = await watchLog(client, id)
  await startRun(client, id, 'it', 'a')
  await watch.untilType('agent_info')
  await client.call('steer', { params: { id }, body: { messages: [{ role: 'user', content: 'b' }] } })
  first.resolve()
  expect(await watch.until(is('stream_stopped', id))).toMatchObject({ reason: 'budget_exceeded' })
  gate.resolve()
  await watch.untilType('sub_session_completed')
  expect((await client.call('getQueue', { params: { id } })).body).toMatchObject({
    steer: { depth: 1 },
    followup: { depth: 1 },
  })
  expect(await runsOf(client, id)).toHaveLength(1)
  expect((await raise(client, id, {})).run_id).toBeDefined()
  await watch.until(is('stream_stopped', id), 2)
  expect(sentTo(upstream).filter((text) => !text.startsWith('tool'))).toEqual([
    'user: a',
    'assistant: [1 calls]',
    'user: b',
    'assistant: done',
    expect.stringMatching(/^user: The background task .* has ended/),
  ])
})

describe('What the tasks of a session cost', () => {
  test('counts for its own budget, in the middle of a task too', async () => {
    const it = team({
      root: { agent: { sub_agents: ['poet'] }, turns: [[transfers('poet', 'one')], [{ text: 'it says so' }]] },
      poet: {
        agent: think,
        turns: [[{ tool_call: { name: 'think', arguments: { thought: 'x'.repeat(2000) } } }], [{ text: 'never' }]],
      },
    })
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const id = await createSession(client, { title: 'A title', tools_approved: true, budget: { max_tokens: 300 } })
    await using watch = await watchLog(client, id)
    await startRun(client, id, 'it')
    expect(await watch.until(is('stream_stopped', id))).toMatchObject({ reason: 'budget_exceeded' })
    const stops = watch.events.filter(({ type }) => type === 'stream_stopped').map(({ reason }) => reason)
    expect(stops).toEqual(['budget_exceeded', 'budget_exceeded'])
    const { spent, cost, paused } = await snapshotOf(client, id)
    expect(paused).toMatchObject({ budget: 'session' })
    expect(spent?.cost).toBeCloseTo(cost)
    // What is told of a parent counts its tasks.
    await raise(client, id, { max_tokens: 0 })
    await watch.until(is('stream_stopped', id), 2)
    const told = watch.events.findLast(is('token_usage', id))
    expect(told).toMatchObject({ usage: { cost: (await snapshotOf(client, id)).cost } })
  })

  test('counts when nobody waits for them', async () => {
    const run = { tool_call: { name: 'run_background_agent', arguments: { agent: 'poet', task: 'one' } } }
    const it = team({
      root: {
        agent: { sub_agents: ['poet'], toolsets: [{ type: 'background_agents' }] },
        turns: [[run], [{ text: 'begun' }], [{ text: 'never' }]],
      },
      poet: { turns: [[{ text: 'x'.repeat(4000) }]] },
    })
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const id = await createSession(client, { title: 'A title', tools_approved: true, budget: { max_tokens: 1000 } })
    await using watch = await watchLog(client, id)
    await startRun(client, id, 'it')
    await watch.until(is('stream_stopped', id))
    await watch.untilType('sub_session_completed')
    expect((await snapshotOf(client, id)).spent?.tokens).toBeGreaterThan(1000)
    await startRun(client, id, 'it', 'more')
    expect(await watch.until(is('stream_stopped', id), 2)).toMatchObject({ reason: 'budget_exceeded' })
  })

  test('counts for nobody else when the session is forked', () =>
    withAnswers([reports(60, 40, 'first'), says('second')], {}, async ({ client }) => {
      const id = await createSession(client, { title: 'A title', budget: { max_cost: 100 } })
      await using watch = await watchLog(client, id)
      for (const nth of [1, 2]) {
        await startRun(client, id, 'it', 'a')
        await watch.untilType('stream_stopped', nth)
      }
      const { body } = await client.call('forkSession', { params: { id }, body: { user_message_index: 1 } })
      const fork = z.object({ id: z.string() }).parse(body).id
      expect(await snapshotOf(client, fork)).toMatchObject({ cost: 100, budget: { max_cost: 100 } })
      expect((await snapshotOf(client, fork)).paused).toBeUndefined()
      await using other = await watchLog(client, fork)
      await startRun(client, fork, 'it', 'b')
      expect(await other.untilType('stream_stopped')).toMatchObject({ reason: 'normal' })
      expect(await snapshotOf(client, fork)).toMatchObject({ cost: 110, spent: { cost: 10 } })
    }))
})

test('counts nothing for an answer that was cut, of which nobody says what it took', () =>
  withAnswers([hangs('half an'), says('whole')], {}, async ({ client }) => {
    const id = await createSession(client, { title: 'A title' })
    await using watch = await watchLog(client, id)
    await startRun(client, id, 'it', 'a')
    await watch.untilType('agent_choice')
    await client.call('cancelRun', { params: { id } })
    const { spent, cost } = await snapshotOf(client, id)
    expect([spent?.cost ?? 0, spent?.tokens ?? 0, cost]).toEqual([0, 0, 0])
    expect(spent?.elapsed_seconds).toBeGreaterThan(0)
  }))
