import { describe, expect, it } from 'vitest'
import { carryOut, session, user } from './run-context.ts'
import { calls, command, person, toolBench, toolMessages } from './tool-bench.ts'

const free = { settings: { safety_policy: 'autonomous' as const } }
const agent = { add_description_parameter: true, toolsets: [{ type: 'shell' }, { type: 'todo' }] }
const why = { description: 'to greet' }

describe('add_description_parameter', () => {
  it('lets the model say why it calls a tool, unless the tool has such an argument itself', async () => {
    const bench = toolBench([], { agent })
    await carryOut(bench.runtime, session([user('begin')], free))
    const byName = new Map(bench.requests[0]?.tools?.map((tool) => [tool.name, tool.parameters]))
    expect(byName.get('shell')).toMatchObject({
      properties: { cmd: {}, description: { type: 'string', description: expect.stringContaining('Why') } },
      required: ['cmd'],
    })
    expect(byName.get('create_todo')).toMatchObject({
      properties: { description: { description: expect.not.stringContaining('Why') } },
    })
  })

  it('is there for the tools of the runtime, too', async () => {
    const bench = toolBench([[calls('list_background_agents', why)]], {
      agent: { ...agent, toolsets: [{ type: 'background_agents' }] },
    })
    const outcome = await carryOut(bench.runtime, session([user('begin')], free))
    const tools = bench.requests[0]?.tools ?? []
    expect(tools.map(({ parameters }) => JSON.stringify(parameters).includes('Why'))).toEqual(tools.map(() => true))
    expect(toolMessages(outcome)).toMatchObject([{ content: '[]' }])
    expect(outcome.events.find(({ type }) => type === 'tool_call')).toMatchObject({
      tool_call: { function: { arguments: JSON.stringify(why) } },
    })
  })

  it('shows it to people, and hides it from hooks, permissions and the tool', async () => {
    const turns = [[calls('shell', { cmd: 'echo hi', ...why }), calls('create_todo', { description: 'mine' })]]
    const pre_tool_use = [{ hooks: [command('cat >> seen')] }]
    const { asked, options } = person({ confirmation: 'approve' })
    const bench = toolBench(turns, { agent: { ...agent, hooks: { pre_tool_use } } })
    const outcome = await carryOut(bench.runtime, session([user('begin')], options))
    const shown = [
      asked[0]?.tool_call,
      ...outcome.events.map((event) => (event.type === 'tool_call' ? event.tool_call : undefined)),
    ]
    const args = shown.flatMap((call) =>
      call?.function.name === 'shell' ? [JSON.parse(call.function.arguments ?? '')] : [],
    )
    expect(args).toEqual([
      { cmd: 'echo hi', ...why },
      { cmd: 'echo hi', ...why },
    ])
    expect(bench.read('seen')).not.toContain('to greet')
    const [first, second] = toolMessages(outcome).map(({ content }) => content)
    expect(first).toBe('hi\n')
    expect(second).toContain('mine')
  })

  it('matches rules about all arguments without it', async () => {
    const permissions = { deny: ['shell:cmd=rm*', 'shell:description=*'] }
    const bench = toolBench([[calls('shell', { cmd: 'echo hi', ...why })]], { agent, file: { permissions } })
    const outcome = await carryOut(bench.runtime, session([user('begin')], free))
    expect(toolMessages(outcome)[0]?.content).toBe('hi\n')
  })

  it('does not let a model that goes in circles talk its way out', async () => {
    const turn = (n: number) => [calls('shell', { cmd: 'true', description: `reason ${n}` })]
    const bench = toolBench([1, 2, 3, 4, 5, 6].map(turn), { agent })
    const outcome = await carryOut(bench.runtime, session([user('begin')], free))
    expect(outcome.error).toMatchObject({ code: 'loop_detected' })
    const todo = (n: number) => [calls('create_todo', { description: `task ${n}` })]
    const busy = toolBench([1, 2, 3, 4, 5, 6].map(todo), { agent })
    expect((await carryOut(busy.runtime, session([user('begin')], free))).reason).toBe('normal')
  })
})
