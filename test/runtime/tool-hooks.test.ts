import { describe, expect, it } from 'vitest'
import { carryOut, type SessionOptions, session, types, user, warnings } from './run-context.ts'
import { command, person, sh, systemText, toolBench, toolMessages } from './tool-bench.ts'

const free: SessionOptions = { settings: { safety_policy: 'autonomous' } }
const begin = (options: SessionOptions = free) => session([user('begin')], options)

describe('hooks', () => {
  const hooked = (hooks: object) => toolBench([[sh('echo ran')]], { agent: { toolsets: [{ type: 'shell' }], hooks } })

  it('add to what the model knows when the run begins', async () => {
    const session_start = [command('echo the moon is full'), { type: 'builtin', command: 'add_user_info' }]
    const bench = hooked({ session_start })
    const outcome = await carryOut(bench.runtime, begin())
    for (const request of bench.requests) expect(systemText(request)).toMatch(/the moon is full[\s\S]*User: /)
    expect(outcome.events.filter(({ type }) => type.startsWith('hook_'))).toMatchObject([
      { type: 'hook_started', hook_event: 'session_start', agent_name: 'root' },
      { type: 'hook_finished', hook_event: 'session_start', allowed: true, duration_ms: expect.any(Number) },
    ])
  })

  it('end a run whose prompt they do not like, before the model is called', async () => {
    const guard = `case "$(cat)" in *begin*) echo '{"decision":"block","reason":"not on Sundays"}';; esac`
    const bench = hooked({ user_prompt_submit: [command(guard)] })
    const outcome = await carryOut(bench.runtime, begin())
    expect(outcome.error).toMatchObject({ code: 'hook_blocked', reason: 'hook_blocked', message: 'not on Sundays' })
    expect(bench.requests).toEqual([])
  })

  it('refuse a call, and the model reads why', async () => {
    const guard = { matcher: 'shell', preempt_yolo: true, hooks: [command('echo dangerous >&2; exit 2')] }
    const bench = hooked({ pre_tool_use: [guard] })
    const outcome = await carryOut(bench.runtime, begin())
    expect(bench.results).toEqual(['The call was not allowed: dangerous'])
    expect(outcome.events.find(({ type }) => type === 'hook_blocked')).toMatchObject({
      tool_call: { function: { name: 'shell' } },
      tool_definition: { name: 'shell' },
      message: 'dangerous',
    })
    expect(types(outcome)).not.toContain('tool_call')
  })

  it('rewrite arguments before anybody is asked about them', async () => {
    const output = { hook_specific_output: { updated_input: { cmd: 'echo rewritten' } } }
    const bench = hooked({ pre_tool_use: [{ hooks: [command(`echo '${JSON.stringify(output)}'`)] }] })
    const { asked, options } = person({ confirmation: 'approve' })
    await carryOut(bench.runtime, begin(options))
    expect(asked[0]?.tool_call.function.arguments).toBe('{"cmd":"echo rewritten"}')
    expect(bench.results).toEqual(['rewritten\n'])
  })

  it.each([
    [{ metadata: { reason: 'it is Sunday' } }, 'it is Sunday'],
    [{ permission_decision: 'ask', permission_decision_reason: 'look twice' }, 'look twice'],
    [{ metadata: { team: 'red' } }, 'The command only reads.'],
  ])('that guard a call have the last word on why a person is asked: %j', async (output, reason) => {
    const guard = command(`echo '${JSON.stringify({ hook_specific_output: output })}'`)
    const bench = hooked({ pre_tool_use: [{ preempt_yolo: true, hooks: [guard] }] })
    const { asked, options } = person({ confirmation: 'approve' })
    await carryOut(bench.runtime, begin(options))
    expect(asked).toMatchObject([{ metadata: { safety_label: 'safe', reason } }])
  })

  it('answer for a person', async () => {
    const allow = { hook_specific_output: { permission_decision: 'allow' } }
    const bench = hooked({ permission_request: [{ hooks: [command(`echo '${JSON.stringify(allow)}'`)] }] })
    await carryOut(bench.runtime, begin({}))
    expect(bench.results).toEqual(['ran\n'])
  })

  it('add to a result, and learn what it was', async () => {
    const post_tool_use = [{ hooks: [command('cat > told.json; echo and it was good')] }]
    const bench = hooked({ post_tool_use })
    await carryOut(bench.runtime, begin())
    expect(bench.results).toEqual(['ran\n\n\nand it was good'])
    expect(JSON.parse(bench.read('told.json'))).toMatchObject({
      session_id: 'a conversation',
      agent_name: 'root',
      hook_event_name: 'post_tool_use',
      tool_name: 'shell',
      tool_input: { cmd: 'echo ran' },
      tool_response: 'ran\n',
      tool_error: false,
    })
  })

  it('end the run after a call, whose result is kept', async () => {
    const stop = command(`echo '{"continue":false,"stop_reason":"enough"}'`)
    const bench = hooked({ post_tool_use: [{ hooks: [stop] }] })
    const outcome = await carryOut(bench.runtime, begin())
    expect(outcome.error).toMatchObject({ code: 'hook_blocked', reason: 'hook_blocked', message: 'enough' })
    expect(toolMessages(outcome)).toMatchObject([{ content: 'ran\n' }])
    expect(bench.requests).toHaveLength(1)
  })

  it('are told that the model has stopped', async () => {
    const bench = hooked({ stop: [command('cat > stopped.json')] })
    const outcome = await carryOut(bench.runtime, begin())
    expect(JSON.parse(bench.read('stopped.json'))).toMatchObject({ stop_response: 'done', last_user_message: 'begin' })
    expect(outcome.reason).toBe('normal')
  })

  it('that cannot run are told as warnings, and guards that cannot run refuse', async () => {
    const bench = hooked({
      session_start: [command('exit 3')],
      pre_tool_use: [{ preempt_yolo: true, hooks: [command('exit 3')] }],
    })
    const outcome = await carryOut(bench.runtime, begin())
    expect(warnings(outcome)).toEqual([expect.stringContaining('session_start hook')])
    expect(bench.results).toEqual([expect.stringContaining('failed: exit code 3')])
  })
})
