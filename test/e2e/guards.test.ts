import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ForeignEvent, type SafetyPolicy, Snapshot } from '../../src/protocol/protocol.ts'
import { calls, command, sh } from '../runtime/tool-bench.ts'
import { tempDir } from '../store/temp-dir.ts'
import { equipped, resultsIn } from './equipped.ts'
import { createSession, House, startRun } from './house.ts'
import { watchLog } from './log-watch.ts'
import { team, transfers } from './team.ts'

const variables = { PATH: process.env.PATH ?? '' }
const shell = { toolsets: [{ type: 'shell' }] }

/** A session whose run has begun, with a watch over its log. */
async function begun({ client }: House, settings: object = {}, source = 'it') {
  const working_dir = tempDir()
  const id = await createSession(client, { title: 'A title', working_dir, ...settings })
  await startRun(client, id, source)
  return { id, working_dir, watch: await watchLog(client, id), params: { id } }
}

const decided = ({ type }: ForeignEvent) =>
  type === 'tool_call_confirmation' || type === 'tool_call' || type === 'tool_call_response'

const outcomes: Readonly<Record<string, string>> = {
  tool_call_confirmation: 'ask',
  tool_call: 'allow',
  tool_call_response: 'deny',
}

describe('A safety policy', () => {
  const turn = (call: object) =>
    equipped({ toolsets: [{ type: 'shell' }, { type: 'filesystem' }] }, [[call], [{ text: 'done' }]])
  const files = {
    safe: turn(sh('ls')),
    destructive: turn(sh('rm -rf build')),
    unknown: turn(sh('make')),
    reads: turn(calls('list_directory', { path: '.' })),
    writes: turn(calls('write_file', { path: 'a', content: 'b' })),
  }
  type Call = keyof typeof files

  /** What clients write, and what becomes of a call with each label and of a tool that says that it only reads. */
  const rows: readonly (readonly [policy: string, stored: SafetyPolicy, ...outcome: readonly string[]])[] = [
    ['strict', 'strict', 'ask', 'ask', 'ask', 'ask', 'ask'],
    ['balanced', 'balanced', 'allow', 'ask', 'ask', 'allow', 'ask'],
    ['safer', 'balanced', 'allow', 'ask', 'ask', 'allow', 'ask'],
    ['safe-auto', 'balanced', 'allow', 'ask', 'ask', 'allow', 'ask'],
    ['restricted', 'restricted', 'allow', 'deny', 'deny', 'allow', 'deny'],
    ['autonomous', 'autonomous', 'allow', 'allow', 'allow', 'allow', 'allow'],
    ['unsafe', 'autonomous', 'allow', 'allow', 'allow', 'allow', 'allow'],
    ['', '', 'ask', 'ask', 'ask', 'allow', 'ask'],
  ]

  test.each(rows)('%j of a client decides about every label', async (policy, stored, ...expected) => {
    await using house = await House.open({ files, variables })
    const calls: readonly Call[] = ['safe', 'destructive', 'unknown', 'reads', 'writes']
    const found: string[] = []
    for (const source of calls) {
      const { id, watch, params } = await begun(house, { safety_policy: policy }, source)
      await using _ = watch
      found.push(outcomes[(await watch.until(decided)).type] ?? '')
      const { safety_policy = '', tools_approved } = Snapshot.parse(
        (await house.client.call('getSnapshot', { params: { id } })).body,
      )
      expect([safety_policy, tools_approved]).toEqual([stored, stored === 'autonomous'])
      await house.client.call('cancelRun', { params })
    }
    expect(found).toEqual(expected)
  })

  test('that is changed holds from the next call of a turn that goes on', async () => {
    const waits = 'touch begun; until [ -e go ]; do sleep 0.01; done'
    const it = equipped(shell, [[sh(waits)], [sh('echo second')], [sh('echo third')], [{ text: 'done' }]])
    await using house = await House.open({ files: { it }, variables })
    const { client } = house
    const { id, watch, params, working_dir } = await begun(house, { safety_policy: 'autonomous' })
    await using _ = watch
    await watch.untilType('tool_call')
    expect((await client.call('setSafetyPolicy', { params, body: { safety_policy: 'strict' } })).status).toBe(200)
    writeFileSync(join(working_dir, 'go'), '')
    const asked = await watch.untilType('tool_call_confirmation')
    expect(asked).toMatchObject({
      request_id: expect.stringMatching(/\S/),
      tool_call: { function: { arguments: '{"cmd":"echo second"}' } },
      metadata: { safety_label: 'safe', blast_radius: 'safe', reason: expect.stringMatching(/\S/) },
    })
    const deny = { permissions: { deny: ['shell:cmd=echo third'] } }
    expect((await client.call('setPermissions', { params, body: deny })).status).toBe(200)
    expect((await client.call('toggleApproval', { params })).status).toBe(200)
    expect((await watch.untilType('stream_stopped')).reason).toBe('normal')
    expect(await resultsIn(client, id)).toEqual([
      '(no output)',
      'second\n',
      'The call was not allowed: The rule "shell:cmd=echo third" of the session decides.',
    ])
    expect((await client.call('setSafetyPolicy', { params, body: { safety_policy: 'wild' } })).status).toBe(400)
    expect((await client.call('setSafetyPolicy', { params, body: { safety_policy: '' } })).status).toBe(200)
    const { body } = await client.call('getSnapshot', { params })
    expect(body).toMatchObject({ tools_approved: false })
    expect(body).not.toHaveProperty('prior_safety_policy')
    expect(Snapshot.parse(body).safety_policy ?? '').toBe('')
  })
})

describe('Hooks', () => {
  const writes = (file: string) => command(`cat >> ${file}; echo >> ${file}`)
  const deny = command('cat > denied.json; echo "not here" >&2; exit 2')

  test('of the agent that works for another guard its calls, and those of the other do not', async () => {
    const it = team({
      root: {
        agent: { ...shell, sub_agents: ['poet'], hooks: { pre_tool_use: [{ hooks: [writes('root.json')] }] } },
        turns: [[transfers('poet', 'a rhyme')], [sh('echo root')], [{ text: 'done' }]],
      },
      poet: {
        agent: { ...shell, hooks: { pre_tool_use: [{ matcher: 'shell', preempt_yolo: true, hooks: [deny] }] } },
        turns: [[sh('echo poet')], [{ text: 'moon' }]],
      },
    })
    await using house = await House.open({ files: { it }, variables })
    const { id, watch, working_dir, params } = await begun(house, { safety_policy: 'strict' })
    await using _ = watch
    for (const nth of [1, 2]) {
      await watch.untilType('tool_call_confirmation', nth)
      expect((await house.client.call('resume', { params, body: { confirmation: 'approve' } })).status).toBe(200)
    }
    await watch.until(({ type, session_id }) => type === 'stream_stopped' && session_id === id)
    expect(JSON.parse(readFileSync(join(working_dir, 'denied.json'), 'utf8'))).toMatchObject({
      agent_name: 'poet',
      tool_name: 'shell',
      tool_input: { cmd: 'echo poet' },
      cwd: working_dir,
    })
    const told = readFileSync(join(working_dir, 'root.json'), 'utf8').trim().split('\n')
    expect(told.filter((line) => line !== '').map((line) => JSON.parse(line).tool_name)).toEqual([
      'transfer_task',
      'shell',
    ])
    expect(watch.events.filter(({ type }) => type === 'hook_blocked')).toMatchObject([
      { agent_name: 'poet', tool_call: { function: { name: 'shell' } }, message: 'not here' },
    ])
  })

  const others = ['tool_guard', 'tool_input_transform', 'tool_response_transform']
  const more = [
    'session_end',
    'user_steering_messages_submit',
    'user_followup_submit',
    'turn_start',
    'turn_end',
    'before_llm_call',
    'after_llm_call',
    'on_tool_approval_decision',
    'subagent_stop',
    'pre_compact',
    'before_compaction',
    'after_compaction',
    'on_user_input',
    'notification',
    'on_error',
    'on_max_iterations',
    'on_session_resume',
    'on_agent_switch',
    'worktree_create',
  ]

  test('for any other event are refused by name before anything is stored, also those of an agent within reach', async () => {
    const entry = command('true')
    const files = Object.fromEntries(
      [...others, ...more].map((event, at) => {
        const hooks = { [event]: others.includes(event) ? [{ hooks: [entry] }] : [entry] }
        const members = { root: { agent: { sub_agents: ['poet'] }, turns: [] }, poet: { agent: { hooks }, turns: [] } }
        return [`agent${at}`, team(members)]
      }),
    )
    await using house = await House.open({ files, variables })
    for (const [at, event] of [...others, ...more].entries()) {
      const id = await createSession(house.client)
      const body = { messages: [{ role: 'user', content: 'hi' }] }
      const answer = await house.client.call('streamRun', { params: { id, agent: `agent${at}` }, body })
      expect(answer).toMatchObject({ status: 422, code: 'agent_not_supported' })
      expect(JSON.stringify(answer.body)).toContain(`agents.poet.hooks.${event}`)
      expect((await house.client.call('getSnapshot', { params: { id } })).body).toMatchObject({ messages: null })
    }
  })
})
