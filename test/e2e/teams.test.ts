import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type ForeignEvent, Item, Message, Request, Run, SessionSummary } from '../../src/protocol/protocol.ts'
import { sh } from '../runtime/tool-bench.ts'
import type { Client } from '../server/client.ts'
import { tempDir } from '../store/temp-dir.ts'
import { isAlive } from '../tools/world.ts'
import { pidsIn, processesWith, resultsIn } from './equipped.ts'
import { createSession, House, logOf, snapshotOf, startRun } from './house.ts'
import { watchLog } from './log-watch.ts'
import { team, transfers } from './team.ts'

const variables = { PATH: process.env.PATH ?? '' }
const shell = { toolsets: [{ type: 'shell' }] }

/** A session of a house whose only source is `it`, with a run that has begun and a watch over its log. */
async function begun({ client }: House, settings: object = {}) {
  const id = await createSession(client, { title: 'A title', working_dir: tempDir(), ...settings })
  const run_id = await startRun(client, id, 'it')
  return { id, run_id, watch: await watchLog(client, id), params: { id } }
}

async function childrenOf(client: Client, id: string) {
  return SessionSummary.array().parse((await client.call('listChildren', { params: { id } })).body)
}

async function runOf(client: Client, id: string): Promise<Run | undefined> {
  return Run.array().parse((await client.call('listRuns', { params: { id } })).body)[0]
}

/** What was said in a session: the last texts of all its messages. */
async function saidIn(client: Client, id: string): Promise<readonly string[]> {
  const { messages } = await snapshotOf(client, id)
  return (messages ?? []).map((message) => Message.parse(message).message.content)
}

const is = (type: string, session: string) => (event: ForeignEvent) =>
  event.type === type && event.session_id === session

describe('A task that an agent hands over', () => {
  const pair = team({
    root: { agent: { sub_agents: ['poet'] }, turns: [[transfers('poet', 'a rhyme')], [{ text: 'it says so' }]] },
    poet: { turns: [[{ text: 'moon, June' }]] },
  })

  test('is carried out by a session of its own, whose events are in both logs', async () => {
    await using house = await House.open({ files: { it: pair } })
    const { client } = house
    const { id, run_id, watch } = await begun(house)
    await using _ = watch
    await watch.until(is('stream_stopped', id))

    const [child] = await childrenOf(client, id)
    expect(child).toMatchObject({ parent_id: id, title: 'a rhyme', agent: 'it' })
    const childId = child?.id ?? ''
    expect((await client.call('getSession', { params: { id: childId } })).body).toMatchObject({ parent_id: id })
    expect(await runOf(client, childId)).toMatchObject({
      trigger: 'delegation',
      root_run_id: run_id,
      agent_name: 'poet',
      status: 'completed',
    })

    const own = (await logOf(client, childId)).filter(({ type }) => type !== 'session_title')
    const told = watch.events.filter(({ session_id }) => session_id === childId)
    expect(told).toEqual(own)
    expect(new Set(told.map(({ root_run_id }) => root_run_id))).toEqual(new Set([run_id]))
    const types = watch.events.map(({ type, session_id }) => (session_id === id ? type : `below: ${type}`))
    const first = types.indexOf('agent_switching')
    expect(types.slice(first, first + 3)).toEqual(['agent_switching', 'below: message_added', 'below: stream_started'])
    const last = types.indexOf('below: stream_stopped')
    expect(types.slice(last, last + 3)).toEqual(['below: stream_stopped', 'sub_session_completed', 'agent_switching'])
    expect(types.filter((type) => type === 'stream_stopped')).toHaveLength(1)
    expect(await resultsIn(client, id)).toEqual(['moon, June'])
  })

  test('is part of what its parent shows, and of what it has cost', async () => {
    await using house = await House.open({ files: { it: pair } })
    const { client } = house
    const { id, watch } = await begun(house)
    await using _ = watch
    await watch.until(is('stream_stopped', id))
    expect(await saidIn(client, id)).toEqual([
      'go on',
      '',
      'a rhyme\n\nWhat is expected:\na word',
      'moon, June',
      'moon, June',
      'it says so',
    ])
    const childId = (await childrenOf(client, id))[0]?.id ?? ''
    const [parent, child] = [await snapshotOf(client, id), await snapshotOf(client, childId)]
    expect(child.cost).toBeGreaterThan(0)
    expect(parent.spent?.cost).toBeCloseTo(parent.cost)
    expect(parent.cost).toBeGreaterThan(child.cost)
    const [entry] = z
      .array(z.looseObject({ num_messages: z.number() }))
      .parse((await client.call('listSessions', {})).body)
    expect(entry?.num_messages).toBe(6)
    const completed = watch.events.find(({ type }) => type === 'sub_session_completed')
    expect(completed).toMatchObject({ parent_session_id: id, sub_session: { id: childId, parent_id: id } })
  })

  test('can be forked around, but not in the middle of it', async () => {
    await using house = await House.open({ files: { it: pair } })
    const { client } = house
    const { id, watch, params } = await begun(house)
    await using _ = watch
    await watch.until(is('stream_stopped', id))
    await startRun(client, id, 'it', 'again')
    await watch.until(is('stream_stopped', id), 2)
    const fork = (user_message_index: number) => client.call('forkSession', { params, body: { user_message_index } })
    expect((await fork(1)).code).toBe('invalid_request')
    const copy = z.object({ id: z.string() }).parse((await fork(2)).body)
    expect((await saidIn(client, copy.id)).slice(-2)).toEqual(['moon, June', 'it says so'])
    await client.call('deleteSession', { params, query: { wait: 'true' } })
    expect((await saidIn(client, copy.id)).slice(2, 4)).toEqual(['a rhyme\n\nWhat is expected:\na word', 'moon, June'])
    expect(await childrenOf(client, copy.id)).toMatchObject([{ parent_id: copy.id }])
  })

  test('asks the clients of its parent, one question at a time, and what they grant holds for both', async () => {
    const it = team({
      root: {
        agent: { sub_agents: ['a', 'b'] },
        turns: [[transfers('a', 'one'), transfers('b', 'two')], [{ text: 'done' }]],
      },
      a: { agent: shell, turns: [[sh('touch a')], [{ text: 'A' }]] },
      b: { agent: shell, turns: [[sh('touch b')], [{ text: 'B' }]] },
    })
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const { id, watch, params } = await begun(house, { safety_policy: 'strict' })
    await using _ = watch
    // The two tasks themselves, and then what each of them wants to do.
    await watch.untilType('tool_call_confirmation')
    await client.call('resume', { params, body: { confirmation: 'approve' } })
    await watch.untilType('tool_call_confirmation', 2)
    await client.call('resume', { params, body: { confirmation: 'approve' } })
    await watch.until(({ type, session_id }) => type === 'request_opened' && session_id !== id, 2)
    const open = Request.array().parse((await client.call('listRequests', { params })).body)
    expect(open.map(({ agent_name }) => agent_name).sort()).toEqual(['a', 'b'])
    expect(watch.events.filter(({ type }) => type === 'tool_call_confirmation')).toHaveLength(3)

    const [first, second] = open
    const below = { params: { id: second?.session_id ?? '' } }
    expect(Request.array().parse((await client.call('listRequests', below)).body)).toEqual([second])
    const answer = { confirmation: 'approve-autonomous', request_id: first?.id }
    expect((await client.call('resume', { params, body: answer })).status).toBe(200)
    await watch.until(is('stream_stopped', id))
    expect(await resultsIn(client, id)).toEqual(['(no output)', '(no output)', 'A', 'B'])
    expect(await snapshotOf(client, id)).toMatchObject({ safety_policy: 'autonomous' })
    expect((await client.call('resume', { params, body: answer })).code).toBe('request_settled')
    expect((await client.call('resume', { ...below, body: answer })).code).toBe('unknown_request')
  })

  test('ends with its parent: a stop reaches the processes of its tools', async () => {
    const it = team({
      root: { agent: { sub_agents: ['worker'] }, turns: [[transfers('worker', 'work')]] },
      worker: { agent: shell, turns: [[sh('sleep 600 & echo $!; wait')]] },
    })
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const { id, watch, params } = await begun(house, { safety_policy: 'autonomous' })
    await using _ = watch
    const { output } = await watch.untilType('tool_call_output')
    const [pid = 0] = pidsIn(output)
    expect(isAlive(pid)).toBe(true)
    await client.call('cancelRun', { params, query: { wait: '60s' } })
    expect(isAlive(pid)).toBe(false)
    await watch.until(is('stream_stopped', id))
    const stops = watch.events.filter(({ type }) => type === 'stream_stopped')
    expect(stops.map(({ reason }) => reason)).toEqual(['canceled', 'canceled'])
    const childId = (await childrenOf(client, id))[0]?.id ?? ''
    expect(await runOf(client, childId)).toMatchObject({ status: 'canceled', canceled: { by: 'parent' } })
  })

  test('leaves nothing behind, however many work at once, whether it ends or is stopped', async () => {
    const many = Array.from({ length: 50 }, (_, n) => transfers('worker', `part ${n}`))
    const it = team({
      root: { agent: { sub_agents: ['worker'] }, turns: [many, [{ text: 'all done' }], many] },
      worker: { agent: shell, turns: [[sh('echo $$')], [{ text: 'done' }]] },
    })
    const mark = `mark-${randomUUID()}`
    await using house = await House.open({ files: { it }, variables: { ...variables, MARK: mark } })
    const { client } = house
    const { id, watch, params } = await begun(house, { safety_policy: 'autonomous' })
    await using _ = watch
    expect(await watch.until(is('stream_stopped', id))).toMatchObject({ reason: 'normal' })
    expect((await resultsIn(client, id)).filter((text) => text === 'done')).toHaveLength(many.length)
    await startRun(client, id, 'it', 'again')
    await watch.until(is('agent_switching', id), 2 * many.length + 10)
    await client.call('cancelRun', { params, query: { wait: '60s' } })
    await watch.until(is('stream_stopped', id), 2)
    const types = watch.events.map(({ type }) => type)
    const count = (type: string) => types.filter((one) => one === type).length
    expect(count('stream_stopped')).toBe(count('stream_started'))
    expect(count('sub_session_completed')).toBe((await childrenOf(client, id)).length)
    expect(processesWith(mark)).toEqual([])
    for (const { streaming } of await childrenOf(client, id)) expect(streaming).toBeUndefined()
  })

  test('can be stopped alone, and its parent is told', async () => {
    const it = team({
      root: {
        agent: { sub_agents: ['worker'] },
        turns: [[transfers('worker', 'work')], [{ text: 'without it, then' }]],
      },
      worker: { turns: [[{ delay: '10m' }]] },
    })
    await using house = await House.open({ files: { it } })
    const { client } = house
    const { id, watch } = await begun(house)
    await using _ = watch
    const { session_id } = await watch.until(({ type, session_id }) => type === 'stream_started' && session_id !== id)
    await client.call('cancelRun', { params: { id: String(session_id) } })
    expect(await watch.until(is('stream_stopped', id))).toMatchObject({ reason: 'normal' })
    expect(await resultsIn(client, id)).toEqual(['worker could not do the task.'])
  })

  test('fails alone, and is refused when it would come back to whoever waits for it', async () => {
    const it = team({
      root: { agent: { sub_agents: ['a'] }, turns: [[transfers('a', 'one')], [{ text: 'so be it' }]] },
      a: {
        agent: { sub_agents: ['root', 'broken'] },
        turns: [[transfers('root', 'back'), transfers('nobody', 'x'), transfers('broken', 'x')], [{ text: 'no way' }]],
      },
      broken: { turns: [[{ error: { code: 'model_error', message: 'out of order' } }]] },
    })
    await using house = await House.open({ files: { it } })
    const { client } = house
    const { id, watch } = await begun(house)
    await using _ = watch
    expect(await watch.until(is('stream_stopped', id))).toMatchObject({ reason: 'normal' })
    const [back, nobody, broken, a] = await resultsIn(client, id)
    expect(back).toContain('root waits for this work itself')
    expect(nobody).toContain('There is no agent called "nobody" here. There are: root, broken.')
    expect(broken).toContain('broken could not do the task: out of order')
    expect(a).toBe('no way')
  })

  test('goes on after a restart, with the question that it has put', async () => {
    const it = team({
      root: { agent: { sub_agents: ['worker'] }, turns: [[transfers('worker', 'work')], [{ text: 'all done' }]] },
      worker: { agent: shell, turns: [[{ text: 'hm' }, sh('echo x >> x')], [{ text: 'worked' }]] },
    })
    await using house = await House.open({ files: { it }, variables })
    const { id, watch } = await begun(house, { safety_policy: 'balanced' })
    const { session_id, request_id } = await watch.untilType('tool_call_confirmation')
    await watch[Symbol.asyncDispose]()
    await house.restart()
    const { client } = house
    const childId = String(session_id)
    const body = { confirmation: 'approve', request_id }
    await using again = await watchLog(client, id)
    expect((await client.call('resume', { params: { id }, body })).status).toBe(200)
    await again.until(is('stream_stopped', id))
    const log = await logOf(client, id)
    const of = (type: string) => log.filter((event) => event.type === type)
    expect(of('stream_stopped').map(({ session_id, reason }) => [session_id, reason])).toEqual([
      [childId, 'normal'],
      [id, 'normal'],
    ])
    expect(of('run_recovered').map(({ session_id, cause }) => [session_id, cause])).toEqual([
      [id, 'handover'],
      [childId, 'handover'],
    ])
    expect(of('request_opened')).toHaveLength(1)
    expect(of('request_settled')).toMatchObject([{ session_id: childId, request: { state: 'answered' } }])
    expect(of('sub_session_completed')).toHaveLength(1)
    expect(await runOf(client, childId)).toMatchObject({ status: 'completed' })
    expect(await saidIn(client, id)).toContain('all done')
    expect((await client.call('listRequests', { params: { id } })).body).toEqual([])
  })

  test('goes with its parent when that is deleted', async () => {
    await using house = await House.open({ files: { it: pair } })
    const { client } = house
    const { id, watch, params } = await begun(house)
    await using _ = watch
    await watch.until(is('stream_stopped', id))
    const childId = (await childrenOf(client, id))[0]?.id ?? ''
    expect((await client.call('deleteSession', { params, query: { wait: 'true' } })).status).toBe(200)
    expect((await client.call('getSession', { params: { id: childId } })).code).toBe('unknown_session')
  })
})

describe('A conversation that agents hand over', () => {
  const hand = (agent: string): object => ({ tool_call: { name: 'handoff', arguments: { agent } } })

  test('goes on with the other agent, also in the next run', async () => {
    const it = team({
      root: { agent: { handoffs: ['billing'] }, turns: [[hand('billing')]] },
      billing: { turns: [[], [{ text: 'your bill' }], [{ text: 'again your bill' }]] },
    })
    await using house = await House.open({ files: { it } })
    const { client } = house
    const { id, watch } = await begun(house)
    await using _ = watch
    await watch.untilType('stream_stopped')
    const switches = watch.events.filter(({ type }) => type === 'agent_switching')
    expect(switches).toMatchObject([
      { switching: true, from_agent: 'root', to_agent: 'billing' },
      { switching: false, from_agent: 'root', to_agent: 'billing' },
    ])
    expect(await snapshotOf(client, id)).toMatchObject({ agent: 'billing' })
    await startRun(client, id, 'it', 'and now?')
    await watch.untilType('stream_stopped', 2)
    expect((await saidIn(client, id)).filter((text) => text.includes('bill,') || text.includes('bill'))).toEqual([
      expect.stringContaining('billing'),
      'your bill',
      'again your bill',
    ])
  })

  test('goes to the agent that the file forces, with a note that is not a user’s', async () => {
    const it = team({
      root: { agent: { force_handoff: 'editor' }, turns: [[{ text: 'a draft' }]] },
      editor: { turns: [[], [{ text: 'a text' }]] },
    })
    await using house = await House.open({ files: { it } })
    const { client } = house
    const { id, watch } = await begun(house)
    await using _ = watch
    await watch.untilType('stream_stopped')
    const { messages } = await snapshotOf(client, id)
    const said = (messages ?? []).map((message) => Message.parse(message))
    expect(said.map(({ agent_name, implicit = false }) => `${agent_name} ${implicit}`)).toEqual([
      ' false',
      'root false',
      ' true',
      'editor false',
    ])
    expect(said.at(-1)?.message.content).toBe('a text')
  })

  test('is taken over by the agent of a slash command', async () => {
    const commands = { bill: { agent: 'billing', instruction: 'Explain the bill of $ARGUMENTS.' } }
    const it = team({
      root: { agent: { commands }, turns: [[{ text: 'root' }]] },
      billing: { turns: [[{ text: 'billing' }]] },
    })
    await using house = await House.open({ files: { it } })
    const { client } = house
    const id = await createSession(client, { title: 'A title' })
    const run_id = await startRun(client, id, 'it', '/bill May 2026')
    await using watch = await watchLog(client, id)
    await watch.untilType('stream_stopped')
    expect(await saidIn(client, id)).toEqual(['Explain the bill of May 2026.', 'billing'])
    expect((await client.call('getRun', { params: { id, run_id } })).body).toMatchObject({ agent_name: 'billing' })
  })
})

describe('Background agents', () => {
  const background = (recall = false) => ({ sub_agents: ['worker'], toolsets: [{ type: 'background_agents', recall }] })
  const starts = { tool_call: { name: 'run_background_agent', arguments: { agent: 'worker', task: 'count' } } }
  const Started = z.object({ task_id: z.string(), status: z.string() })

  test('work while the conversation goes on, and can be looked at, also after a restart', async () => {
    const it = team({
      root: {
        agent: background(),
        turns: [
          [starts],
          [{ text: 'started' }],
          [{ tool_call: { name: 'list_background_agents', arguments: {} } }],
          [{ text: 'that is all' }],
        ],
      },
      worker: { turns: [[{ text: 'one two three' }]] },
    })
    await using house = await House.open({ files: { it } })
    const { id, watch } = await begun(house, { safety_policy: 'autonomous' })
    await watch.untilType('sub_session_completed')
    await watch.until(is('stream_stopped', id))
    const { task_id } = Started.parse(JSON.parse((await resultsIn(house.client, id))[0] ?? ''))
    const below = watch.events.filter(({ session_id }) => session_id === task_id).map(({ type }) => type)
    expect(new Set(below)).toEqual(new Set(['token_usage']))
    await watch[Symbol.asyncDispose]()
    await house.restart()
    await startRun(house.client, id, 'it')
    await using again = await watchLog(house.client, id)
    await again.until(is('stream_stopped', id), 2)
    const listed = JSON.parse((await resultsIn(house.client, id)).at(-1) ?? '')
    expect(listed).toEqual([{ task_id, agent: 'worker', status: 'completed' }])
    expect(await runOf(house.client, task_id)).toMatchObject({ trigger: 'background' })
  })

  test('are refused what would need an approval', async () => {
    const it = team({
      root: { agent: background(), turns: [[starts], [{ text: 'ok' }]] },
      worker: { agent: shell, turns: [[sh('touch x')], [{ text: 'could not' }]] },
    })
    await using house = await House.open({ files: { it }, variables })
    const { id, watch, params } = await begun(house, { safety_policy: 'strict' })
    await using _ = watch
    await watch.untilType('tool_call_confirmation')
    await house.client.call('resume', { params, body: { confirmation: 'approve' } })
    await watch.untilType('sub_session_completed')
    const [child] = await childrenOf(house.client, id)
    const [refused] = await resultsIn(house.client, child?.id ?? '')
    expect(refused).toContain('not allowed')
  })

  test('call the conversation back when that is wanted', async () => {
    const it = team({
      root: { agent: background(true), turns: [[starts], [{ text: 'started' }], [{ text: 'so it has ended' }]] },
      worker: { turns: [[{ text: 'one two three' }]] },
    })
    await using house = await House.open({ files: { it } })
    const { id, watch } = await begun(house, { safety_policy: 'autonomous' })
    await using _ = watch
    await watch.until(({ type, message }) => type === 'user_message' && String(message).includes('one two three'))
    await watch.until(({ type, message }) => {
      const parsed = Item.safeParse({ message })
      return type === 'message_added' && parsed.data?.message?.message.content === 'so it has ended'
    })
    expect(id).toBeTruthy()
  })

  test('are stopped with their conversation', async () => {
    const it = team({
      root: { agent: background(), turns: [[starts], [{ text: 'started' }]] },
      worker: { turns: [[{ delay: '10m' }]] },
    })
    await using house = await House.open({ files: { it } })
    const { client } = house
    const { id, watch, params } = await begun(house, { safety_policy: 'autonomous' })
    await using _ = watch
    await watch.until(is('stream_stopped', id))
    const [child] = await childrenOf(client, id)
    expect(child).toMatchObject({ streaming: true })
    expect((await client.call('cancelRun', { params })).status).toBe(200)
    expect(await runOf(client, child?.id ?? '')).toMatchObject({ status: 'canceled', canceled: { by: 'client' } })
  })
})
