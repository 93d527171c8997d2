import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Request, Run } from '../../src/protocol/protocol.ts'
import { calls, sh } from '../runtime/tool-bench.ts'
import { says, startUpstream, type Upstream, wants } from '../runtime/upstream.ts'
import { tempDir } from '../store/temp-dir.ts'
import { oddServer, programOf } from '../tools/mcp/harness.ts'
import { said as saidBy, serve } from '../tools/mcp/http-server.ts'
import { isAlive } from '../tools/world.ts'
import { equipped, equippedAt, pidsIn, resultsIn } from './equipped.ts'
import { createSession, House, startRun, user } from './house.ts'
import { type LogWatch, watchLog } from './log-watch.ts'

const { PATH = '' } = process.env
const variables = { PATH, OPENAI_API_KEY: 'k' }
const shell = { toolsets: [{ type: 'shell' }] }
const autonomous = { title: 'A title', safety_policy: 'autonomous' }

/** A session of a house whose only agent is `it`, with a run that has begun and a watch over its log. */
async function begun({ client }: House, settings: object = autonomous) {
  const working_dir = tempDir()
  const id = await createSession(client, { ...settings, working_dir })
  const run_id = await startRun(client, id, 'it')
  return { id, run_id, working_dir, watch: await watchLog(client, id), params: { id } }
}

/** Who said what in a request to the model, without its instructions. */
function said(upstream: Upstream, turn: number): readonly string[] {
  const messages = upstream.calls[turn]?.messages.filter(({ role }) => role !== 'system') ?? []
  return messages.map(({ role, content }) => `${role}: ${content ?? 'calls'}`)
}

async function ended(watch: LogWatch) {
  const last = await watch.untilType('stream_stopped')
  return { reason: last.reason, types: watch.events.map(({ type }) => type) }
}

const isFor = (tool: string, type: string) => (event: { readonly type: string; readonly tool_call_id?: unknown }) =>
  event.type === type && event.tool_call_id === tool

describe('Approvals in the middle of parallel calls', () => {
  test('are answered one by one while the safe call has long ended, and the model reads why one was rejected', async () => {
    const asked = wants(['shell', { cmd: 'touch a' }], ['shell', { cmd: 'ls' }], ['shell', { cmd: 'touch c' }])
    await using upstream = await startUpstream(asked, says('I see'))
    await using house = await House.open({ files: { it: equippedAt(upstream.url, shell) }, variables })
    const { client } = house
    const { id, watch, params, working_dir } = await begun(house, { title: 'A title', safety_policy: 'balanced' })
    await using _ = watch

    await watch.until(isFor('call_2', 'tool_call_response'))
    const shown = await watch.untilType('tool_call_confirmation')
    expect(shown).toMatchObject({
      tool_call: { id: 'call_1' },
      metadata: { safety_label: 'unknown', reason: expect.stringMatching(/\S/) },
    })
    await watch.untilType('request_opened', 2)
    const open = Request.array().parse((await client.call('listRequests', { params })).body)
    expect(open.map(({ state }) => state)).toEqual(['open', 'open'])
    expect(existsSync(join(working_dir, 'a'))).toBe(false)

    expect((await client.call('resume', { params, body: { confirmation: 'approve' } })).status).toBe(200)
    await watch.until(isFor('call_1', 'tool_call_response'))
    expect(existsSync(join(working_dir, 'a'))).toBe(true)
    const next = await watch.untilType('tool_call_confirmation', 2)
    const rejection = { confirmation: 'reject', reason: 'one is enough', request_id: next.request_id }
    expect((await client.call('resume', { params, body: rejection })).status).toBe(200)

    expect((await ended(watch)).reason).toBe('normal')
    expect(existsSync(join(working_dir, 'c'))).toBe(false)
    const results = ['(no output)', '(no output)', 'The user rejected the call: one is enough']
    expect(await resultsIn(client, id)).toEqual(results)
    expect(said(upstream, 1)).toEqual(['user: go on', 'assistant: calls', ...results.map((text) => `tool: ${text}`)])
  })

  test('are over when the policy allows everything from now on', async () => {
    const it = equipped(shell, [[sh('touch a'), sh('touch b')], [{ text: 'done' }]])
    await using house = await House.open({ files: { it }, variables })
    const { id, watch, params } = await begun(house, { title: 'A title', safety_policy: 'balanced' })
    await using _ = watch
    await watch.untilType('request_opened', 2)
    await house.client.call('resume', { params, body: { confirmation: 'approve-autonomous' } })
    expect((await ended(watch)).types.filter((type) => type === 'tool_call_confirmation')).toHaveLength(1)
    expect(await resultsIn(house.client, id)).toEqual(['(no output)', '(no output)'])
  })
})

test('An elicitation of an MCP server is answered over HTTP', async () => {
  const mcps = { every: { command: process.execPath, args: [programOf('everything'), 'stdio'] } }
  const agent = { toolsets: [{ type: 'mcp', ref: 'every' }] }
  const it = equipped(agent, [[calls('trigger-elicitation-request')], [{ text: 'done' }]], { mcps })
  await using house = await House.open({ files: { it }, variables })
  const { id, watch, params } = await begun(house)
  await using _ = watch
  const asked = await watch.untilType('elicitation_request')
  expect(asked).toMatchObject({
    mode: 'form',
    message: expect.stringMatching(/\S/),
    schema: { properties: { name: { type: 'string' } } },
  })
  const body = { action: 'accept', content: { name: 'Ada' }, elicitation_id: asked.elicitation_id }
  expect((await house.client.call('answerElicitation', { params, body })).status).toBe(200)
  expect((await ended(watch)).reason).toBe('normal')
  expect(await resultsIn(house.client, id)).toEqual([expect.stringContaining('- Name: Ada')])
})

test('An MCP server that misbehaves costs its own calls, never the run', async () => {
  const names = ['crash', 'big', 'garbage', 'nonsense', 'hang', 'freeze', 'leave', 'change', 'pids']
  const { lifecycle, ...server } = oddServer()
  const odd = { type: 'mcp', ...server, lifecycle: { ...lifecycle, restart: 'always', call_timeout: '1s' } }
  const turns = names.map((name) => [calls(`odd_${name}`), sh('echo beside it')])
  const agent = { toolsets: [odd, { type: 'shell' }] }
  await using house = await House.open({ files: { it: equipped(agent, [...turns, [{ text: 'done' }]]) }, variables })
  const { id, watch } = await begun(house)
  await using _ = watch
  expect((await ended(watch)).reason).toBe('normal')
  const results = await resultsIn(house.client, id)
  expect(results.filter((_, place) => place % 2 === 1)).toEqual(names.map(() => 'beside it\n'))
  const answers = results.filter((_, place) => place % 2 === 0)
  expect(answers.map((answer) => answer.length < 50_000)).toEqual(names.map(() => true))
  expect(answers.at(-1)).toMatch(/^\[\d+,\d+\]$/)
  const counts = watch.events.flatMap((event) => (event.type === 'toolset_info' ? [event.available_tools] : []))
  expect(counts).toHaveLength(2)
})

test('What is steered in while a tool runs is read after that batch, and a follow-up starts the next turn', async () => {
  const waits = 'touch begun; until [ -e go ]; do sleep 0.01; done; echo it went'
  await using upstream = await startUpstream(wants(['shell', { cmd: waits }]), says('first'), says('second'))
  await using house = await House.open({ files: { it: equippedAt(upstream.url, shell) }, variables })
  const { client } = house
  const { id, run_id, watch, params, working_dir } = await begun(house)
  await using _ = watch
  await watch.untilType('tool_call')
  expect((await client.call('followUp', { params, body: { messages: [user('and then?')] } })).status).toBe(202)
  expect((await client.call('steer', { params, body: { messages: [user('hurry')] } })).status).toBe(202)
  writeFileSync(join(working_dir, 'go'), '')

  const { types, reason } = await ended(watch)
  expect(reason).toBe('normal')
  expect(said(upstream, 1)).toEqual(['user: go on', 'assistant: calls', 'tool: it went\n', 'user: hurry'])
  expect(said(upstream, 2)).toEqual([...said(upstream, 1), 'assistant: first', 'user: and then?'])
  const turns = ['tool_call_response', 'message_added', 'input_settled', 'user_message', 'agent_info']
  expect(types.slice(types.indexOf('tool_call_response')).slice(0, 5)).toEqual(turns)
  const runs = Run.array().parse((await client.call('listRuns', { params: { id } })).body)
  expect(runs.map((run) => run.run_id)).toEqual([run_id])
})

test('The example agent asks before it changes anything, and does what it was allowed to do', async () => {
  const it = readFileSync(new URL('../../examples/tools.yaml', import.meta.url), 'utf8')
  await using house = await House.open({ files: { it }, variables })
  const { id, watch, params, working_dir } = await begun(house, { title: 'A title' })
  await using _ = watch
  await watch.untilType('tool_call_confirmation')
  await house.client.call('resume', { params, body: { confirmation: 'reject', reason: 'no date' } })
  await watch.untilType('tool_call_confirmation', 2)
  await house.client.call('resume', { params, body: { confirmation: 'approve' } })
  expect((await ended(watch)).reason).toBe('normal')
  const [where, date, , tree] = await resultsIn(house.client, id)
  expect(where).toBe(`${realpathSync(working_dir)}\n`)
  expect(date).toBe('The user rejected the call: no date')
  expect(tree).toContain('said.txt')
})

describe('A shell command', () => {
  const stays = 'sleep 1000 & echo "$$ $!"; wait'
  const it = equipped(shell, [[sh(stays), sh('echo quick')], [{ text: 'never said' }]])

  async function hanging(house: House) {
    const run = await begun(house)
    const pids = pidsIn(
      (await run.watch.until(({ type, output }) => type === 'tool_call_output' && /\d/.test(String(output)))).output,
    )
    await run.watch.until(isFor('call_1_2', 'tool_call_response'))
    expect(pids.map(isAlive)).toEqual([true, true])
    return { ...run, pids }
  }

  test('is gone with everything that it started when its run is cancelled', async () => {
    await using house = await House.open({ files: { it }, variables })
    const { id, watch, params, pids } = await hanging(house)
    await using _ = watch
    expect((await house.client.call('cancelRun', { params })).status).toBe(200)
    expect(pids.map(isAlive)).toEqual([false, false])
    expect((await ended(watch)).reason).toBe('canceled')
    expect(await resultsIn(house.client, id)).toEqual([expect.stringContaining('stopped'), 'quick\n'])
  })

  test('is gone with everything that it started when its session is deleted', async () => {
    await using house = await House.open({ files: { it }, variables })
    const { watch, params, pids } = await hanging(house)
    await using _ = watch
    const answer = await house.client.call('deleteSession', { params, query: { wait: 'true', timeout: '1m' } })
    expect(answer.status).toBe(200)
    expect(pids.map(isAlive)).toEqual([false, false])
    await watch.untilType('session_exited')
  })

  test('is gone with everything that it started when the server ends', async () => {
    await using house = await House.open({ files: { it }, variables })
    const { watch, pids } = await hanging(house)
    await using _ = watch
    await house.close()
    expect(pids.map(isAlive)).toEqual([false, false])
  })
})

describe('The headers of the request behind a run', () => {
  test('reach its MCP servers, which know whoever comes next by the headers of the next, and are not on disk', async () => {
    const seen: string[] = []
    const url = await serve(
      (_, { headers }) => saidBy(`hello ${String(headers['x-user']).length}`),
      ({ method }, { headers }) => {
        if (method === 'initialize' || method === 'tools/call') seen.push(`${method} ${headers['x-user']}`)
        return undefined
      },
    )
    // biome-ignore lint/suspicious/noTemplateCurlyInString: agent files are written so
    const far = { type: 'mcp', remote: { url, headers: { 'X-User': '${headers.X-Who}' } } }
    const turns = [[calls('go')], [{ text: 'one' }], [calls('go')], [{ text: 'two' }]]
    await using house = await House.open({ files: { it: equipped({ toolsets: [far] }, turns) }, variables })
    const { client } = house
    const id = await createSession(client, autonomous)
    for (const who of ['ada-s3cret', 'bob-s3cret']) {
      const body = { messages: [user('go')] }
      await client.call('streamRun', { params: { id, agent: 'it' }, body, headers: { 'x-who': who } })
    }
    expect(seen).toEqual(['ada-s3cret', 'bob-s3cret'].flatMap((who) => [`initialize ${who}`, `tools/call ${who}`]))
    expect(await resultsIn(client, id)).toEqual(['hello 10', 'hello 10'])
    for (const file of [house.database, `${house.database}-wal`]) {
      expect(existsSync(file) && readFileSync(file).includes('s3cret'), file).toBe(false)
    }
  })
})
