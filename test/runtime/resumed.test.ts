import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ToolCall, ToolCallResult } from '../../src/protocol/protocol.ts'
import type { Question, Resumption } from '../../src/runtime/runtime.ts'
import { assistant, carryOut, type SessionOptions, session, stored, text, types, user } from './run-context.ts'
import { person, sh, toolBench, toolMessages } from './tool-bench.ts'

const free: SessionOptions = { settings: { safety_policy: 'autonomous' } }

function past(more: Partial<Resumption>): Resumption {
  return { calls: 1, cut: undefined, begun: new Map(), budgets: [], completed: new Set(), ...more }
}

function call(id: string, name: string, args: object): ToolCall {
  return { id, type: 'function', function: { name, arguments: JSON.stringify(args) } }
}

const shellCall = (id: string, cmd: string) => call(id, 'shell', { cmd })
const unknown = expect.stringContaining('It is unknown whether it took effect.')

/** Calls that had begun: with their result, where there was one. */
const begun = (entries: readonly (readonly [string, ToolCallResult | undefined])[]) => new Map(entries)

describe('a run that goes on', () => {
  it('treats each call of the last answer by its rule, in the order in which the model asked', async () => {
    const agent = { toolsets: [{ type: 'shell' }, { type: 'filesystem' }] }
    const bench = toolBench([[]], { agent })
    bench.write('a.txt', 'read again')
    const tool_calls = [
      shellCall('never', 'touch never'),
      call('safe', 'read_file', { path: 'a.txt' }),
      shellCall('known', 'touch known'),
      shellCall('new', 'echo new'),
    ]
    const resumed = past({
      begun: begun([
        ['never', undefined],
        ['safe', undefined],
        ['known', { output: 'had ended' }],
      ]),
    })
    const outcome = await carryOut(
      bench.runtime,
      session([user('begin'), assistant('', { tool_calls })], { ...free, resumed }),
    )
    expect(outcome.reason).toBe('normal')
    expect(toolMessages(outcome).map(({ tool_call_id }) => tool_call_id)).toEqual(['never', 'safe', 'known', 'new'])
    expect(bench.results).toEqual([unknown, expect.stringContaining('read again'), 'had ended', 'new\n'])
    expect(existsSync(join(bench.root, 'never')) || existsSync(join(bench.root, 'known'))).toBe(false)
    expect(bench.requests).toHaveLength(1)
  })

  it.each([
    { confirmation: 'approve', result: 'again\n' },
    { confirmation: 'reject', result: unknown },
  ] as const)('asks a person where the file says so, who may $confirmation', async ({ confirmation, result }) => {
    const bench = toolBench([[]], { agent: { toolsets: [{ type: 'shell', rerun: 'ask' }] } })
    const { asked, options } = person({ confirmation }, { safety_policy: 'autonomous' })
    const history = [user('begin'), assistant('', { tool_calls: [shellCall('a', 'echo again')] })]
    await carryOut(bench.runtime, session(history, { ...options, resumed: past({ begun: begun([['a', undefined]]) }) }))
    expect(asked).toMatchObject([{ tool_call: { id: 'a' }, metadata: { interrupted: 'true' } }])
    expect(bench.results).toEqual([result])
  })

  it.each([
    { why: 'there is no such tool any more', tool: 'gone', args: {} },
    { why: 'its arguments are wrong by now', tool: 'shell', args: {} },
    { why: 'it may not run any more', tool: 'shell', args: { cmd: 'touch denied' } },
  ])('does not hide behind a refusal what a call has begun to do: $why', async ({ tool, args }) => {
    const bench = toolBench([[]], {
      agent: { toolsets: [{ type: 'shell', rerun: 'safe' }] },
      file: { permissions: { deny: ['shell'] } },
    })
    const history = [user('begin'), assistant('', { tool_calls: [call('a', tool, args), call('new', 'gone', {})] })]
    const resumed = past({ begun: begun([['a', undefined]]) })
    await carryOut(bench.runtime, session(history, { ...free, resumed }))
    expect(bench.results).toEqual([unknown, expect.stringContaining('There is no tool called "gone"')])
  })

  it('says how dangerous a second time is, and waits for that as long as the file says, never to run it', async () => {
    const approval = { deadline: '30m', default: 'allow' }
    const bench = toolBench([[]], { agent: { toolsets: [{ type: 'shell', rerun: 'ask', approval }] } })
    const asked: Question[] = []
    const answer = async (question: Question) => {
      asked.push(question)
      return { confirmation: 'reject' as const }
    }
    const history = [user('begin'), assistant('', { tool_calls: [shellCall('a', 'rm -rf nothing')] })]
    const resumed = past({ begun: begun([['a', undefined]]) })
    await carryOut(bench.runtime, session(history, { ...free, answer, resumed }))
    expect(asked).toMatchObject([{ content: { metadata: { safety_label: 'destructive', interrupted: 'true' } } }])
    expect(asked[0]?.expiry).toEqual({ afterMs: 1_800_000 })
  })

  it('asks no model again that had said its last word, and takes a follow-up', async () => {
    const bench = toolBench([[{ text: 'first' }]])
    const history = [user('begin'), assistant('the last word')]
    const alone = await carryOut(bench.runtime, session(history, { resumed: past({}) }))
    expect([alone.reason, text(alone), bench.requests.length]).toEqual(['normal', '', 0])
    const more = session(history, { resumed: past({}) })
    more.followUps.push(user('more'))
    expect(text(await carryOut(bench.runtime, more))).toBe('done')
    expect(bench.requests).toHaveLength(1)
  })

  it('answers what was said after the last word', async () => {
    const bench = toolBench([[{ text: 'first' }]])
    const history = [user('begin'), assistant('the last word'), user('taken before')]
    expect(text(await carryOut(bench.runtime, session(history, { resumed: past({}) })))).toBe('done')
  })

  it('books an answer that was cut as an estimate, and asks the model again without it', async () => {
    const bench = toolBench([[{ text: 'whole' }]])
    const cut = assistant('half an answer', { finish_reason: 'interrupted' })
    const outcome = await carryOut(
      bench.runtime,
      session([user('begin'), cut], { resumed: past({ calls: 0, cut: 'half an answer' }) }),
    )
    expect(outcome.events.find(({ type }) => type === 'usage_spent')).toMatchObject({ usage: { output_tokens: 4 } })
    expect(text(outcome)).toBe('whole')
    expect(bench.requests[0]?.messages.map(({ content }) => content)).not.toContain('half an answer')
  })

  it('counts its model calls on', async () => {
    const bench = toolBench([[], [sh('true')], [sh('true')]], { agent: { toolsets: [{ type: 'shell' }] } })
    const history = [user('begin'), assistant('', { tool_calls: [shellCall('a', 'true')] })]
    const options = { settings: { ...free.settings, interactive: false }, maxIterations: 2, resumed: past({}) }
    const outcome = await carryOut(bench.runtime, session(history, options))
    expect(bench.requests).toHaveLength(1)
    expect(types(outcome)).toContain('max_iterations_reached')
    expect(stored(outcome).at(-1)?.content).toContain('after 2 model calls')
  })

  it.each([
    { agent: 'root', limit: 12 },
    { agent: 'another', limit: 3 },
  ])('makes as many more model calls as a person has allowed $agent before', async ({ agent, limit }) => {
    const turns = Array.from({ length: 20 }, (_, at) => [sh(`echo ${at}`)])
    const bench = toolBench(turns, { agent: { toolsets: [{ type: 'shell' }] } })
    const asked: unknown[] = []
    const options: SessionOptions = {
      ...free,
      maxIterations: 3,
      resumed: past({ extended: { agent, calls: 2 } }),
      answer: async ({ content }) => {
        asked.push(content)
        return { confirmation: 'reject' }
      },
    }
    const history = [user('begin'), assistant('', { tool_calls: [shellCall('a', 'true')] })]
    await carryOut(bench.runtime, session(history, options))
    expect(asked).toEqual([{ kind: 'continuation', max_iterations: limit }])
    expect(bench.requests).toHaveLength(limit - 1)
  })

  it('stops in time for a budget of which it has spent before', async () => {
    const bench = toolBench([[]], { file: { budget: { max_tokens: 100 } } })
    const spent = { cost: 0, tokens: 100, active_seconds: 0, agent_name: 'root' }
    const budgets = [{ name: 'run', cost: 0, tokens: 100, elapsed_seconds: 0, per_agent: [spent] }]
    const history = [user('begin'), assistant('', { tool_calls: [call('a', 'nothing', {})] })]
    const outcome = await carryOut(bench.runtime, session(history, { resumed: past({ budgets }) }))
    expect([outcome.reason, bench.requests.length]).toEqual(['budget_exceeded', 0])
  })

  it.each([
    { what: 'whose call has a result', messages: true },
    { what: 'whose result is known', messages: false },
  ])('carries out a handover $what', async ({ messages }) => {
    const other = { model: 'played', instruction: 'I am the other.' }
    const file = { agents: { root: { model: 'played', handoffs: ['other'] }, other } }
    const bench = toolBench([[]], { file })
    const tool_calls = [call('a', 'handoff', { agent: 'other' })]
    const result = { agent_name: 'root', message: { role: 'tool', content: 'It goes', tool_call_id: 'a' } } as const
    const history = [user('begin'), assistant('', { tool_calls }), ...(messages ? [result] : [])]
    const resumed = past({ begun: begun([['a', { output: 'It goes' }]]) })
    const outcome = await carryOut(bench.runtime, session(history, { ...free, resumed }))
    expect(outcome.events.filter(({ type }) => type === 'agent_switching')).toMatchObject([
      { switching: true, to_agent: 'other' },
      { switching: false, to_agent: 'other' },
    ])
    expect(stored(outcome).filter(({ role }) => role === 'assistant')).toHaveLength(1)
    expect(outcome.events.findLast(({ type }) => type === 'message_added')).toMatchObject({
      message: { agent_name: 'other' },
    })
  })
})

describe('a tool', () => {
  const agent = { toolsets: [{ type: 'shell' }] }

  it('does not start before that it starts is safe', async () => {
    const bench = toolBench([[sh('touch x')]], { agent })
    const safe = Promise.withResolvers<void>()
    const waits = Promise.withResolvers<void>()
    const committed = (): Promise<void> => {
      waits.resolve()
      return safe.promise
    }
    const ended = carryOut(bench.runtime, session([user('begin')], { ...free, committed }))
    await waits.promise
    expect(existsSync(join(bench.root, 'x'))).toBe(false)
    safe.resolve()
    expect((await ended).reason).toBe('normal')
    expect(existsSync(join(bench.root, 'x'))).toBe(true)
  })

  it('never starts when that cannot be', async () => {
    const bench = toolBench([[sh('touch x')]], { agent })
    const lost = new Error('lost')
    const committed = () => Promise.reject(lost)
    const { error } = await carryOut(bench.runtime, session([user('begin')], { ...free, committed }))
    expect(error).toBe(lost)
    expect(existsSync(join(bench.root, 'x'))).toBe(false)
  })
})
