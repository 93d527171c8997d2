import { expect, it } from 'vitest'
import { events as schemas } from '../../src/protocol/protocol.ts'
import type { Question, RunFailure } from '../../src/runtime/runtime.ts'
import { assistant, carryOut, type Outcome, session, stored, text, types, user, warnings } from './run-context.ts'
import { runtimeOf, scripted } from './test-agent.ts'

it('tells a run in the order that clients know', async () => {
  const runtime = runtimeOf(scripted([[{ reasoning: 'hm ' }, { text: 'hello you' }]]))
  const outcome = await carryOut(runtime, session([user('hi')]))
  expect(types(outcome)).toEqual([
    'team_info',
    'mcp_init_started',
    'mcp_init_finished',
    'toolset_info',
    'agent_info',
    'agent_choice_reasoning',
    'agent_choice',
    'agent_choice',
    'message_added',
    'token_usage',
  ])
  expect(outcome.reason).toBe('normal')
})

it('tells only events that the protocol knows', async () => {
  const script = [[{ reasoning: 'hm' }, { tool_call: { name: 'x', arguments: { a: 1 } } }], [{ text: 'done' }]]
  const runtime = runtimeOf(scripted(script, 'welcome_message: hello'))
  const outcome = await carryOut(runtime, session([user('hi')], { untitled: true }))
  const envelope = { session_id: 's', timestamp: 't', message_id: 'm', session_position: 0 }
  for (const event of outcome.events) {
    if (event.type !== 'time_spent' && event.type !== 'usage_spent' && event.type !== 'asked_again')
      schemas[event.type].parse({ ...envelope, ...event })
  }
  expect(new Set(types(outcome))).toContain('tool_call_response')
})

it('stores the answer with what it cost and how it ended', async () => {
  const runtime = runtimeOf(scripted([[{ reasoning: 'thinking' }, { text: 'answer' }]]))
  const outcome = await carryOut(runtime, session([user('what?')]))
  expect(outcome.events.find(({ type }) => type === 'message_added')).toMatchObject({
    message: {
      agent_name: 'root',
      message: {
        role: 'assistant',
        content: 'answer',
        reasoning_content: 'thinking',
        model: 'scripted/test',
        finish_reason: 'stop',
        created_at: expect.stringMatching(/^\d{4}-.*Z$/),
        usage: { input_tokens: 2, output_tokens: 4 },
        cost: 2 + 2 * 4,
      },
    },
  })
})

it('adds up what the session has cost, summaries included', async () => {
  const runtime = runtimeOf(scripted([[{ text: 'four' }]]))
  const history = [user('a'), assistant('b', { cost: 10 }), { summary: 'so far', cost: 100 }, user('what')]
  const outcome = await carryOut(runtime, session(history))
  const [answer] = stored(outcome)
  expect(outcome.events.find(({ type }) => type === 'token_usage')).toMatchObject({
    usage: {
      cost: 110 + (answer?.cost ?? 0),
      context_limit: 4096,
      context_length: (answer?.usage?.input_tokens ?? 0) + 1,
      last_message: { Cost: answer?.cost, Model: 'scripted/test', finish_reason: 'stop' },
    },
  })
})

it('describes the team, its current agent and its model', async () => {
  const runtime = runtimeOf(scripted([[{ text: 'x' }]], 'commands: {greet: say hello}'))
  const { events } = await carryOut(runtime, session([user('hi')]))
  expect(events[0]).toMatchObject({
    type: 'team_info',
    current_agent: 'root',
    available_agents: [
      {
        name: 'root',
        description: 'A test agent',
        provider: 'scripted',
        model: 'test',
        commands: { greet: { instruction: 'say hello' } },
      },
    ],
  })
  expect(events[3]).toMatchObject({ type: 'toolset_info', available_tools: 0, loading: false })
  expect(events[4]).toMatchObject({
    type: 'agent_info',
    agent_name: 'root',
    model: 'scripted/test',
    context_limit: 4096,
  })
})

it('warns of an empty answer and does not store it', async () => {
  const outcome = await carryOut(runtimeOf(scripted([[]])), session([user('hi')]))
  expect(warnings(outcome)).toEqual(['The model answered nothing.'])
  expect(types(outcome)).not.toContain('message_added')
  expect(outcome.reason).toBe('normal')
})

it('tells the model that a tool is not there, and goes on', async () => {
  const call = { tool_call: { name: 'shell', arguments: { cmd: 'ls' } } }
  const runtime = runtimeOf(scripted([[call], [{ text: 'then without' }]]))
  const outcome = await carryOut(runtime, session([user('hi')]))
  const [asked, refused, said] = stored(outcome)
  expect(asked).toMatchObject({ finish_reason: 'tool_calls', tool_calls: [{ function: { name: 'shell' } }] })
  expect(refused).toMatchObject({ role: 'tool', is_error: true, tool_call_id: asked?.tool_calls?.[0]?.id })
  expect(said).toMatchObject({ content: 'then without' })
  expect(types(outcome).filter((type) => type !== 'partial_tool_call')).toEqual([
    'team_info',
    'mcp_init_started',
    'mcp_init_finished',
    'toolset_info',
    'agent_info',
    'message_added',
    'token_usage',
    'tool_call_response',
    'message_added',
    'agent_info',
    ...text(outcome)
      .split(' ')
      .map(() => 'agent_choice'),
    'message_added',
    'token_usage',
  ])
})

it('streams the arguments of a tool call in pieces that make the whole', async () => {
  const script = [[{ tool_call: { name: 'shell', arguments: { cmd: 'ls -l' } }, chunk: 4 }], [{ text: 'ok' }]]
  const { events } = await carryOut(runtimeOf(scripted(script)), session([user('hi')]))
  const pieces = events.flatMap((event) => (event.type === 'partial_tool_call' ? [event.tool_call] : []))
  expect(pieces.map((piece) => piece.function.arguments).join('')).toBe('{"cmd":"ls -l"}')
  expect(pieces[0]?.function.name).toBe('shell')
})

it('ends a run whose model asks for the same again and again', async () => {
  const call = { tool_call: { name: 'shell', arguments: { cmd: 'ls' } } }
  const outcome = await carryOut(runtimeOf(scripted([[call]])), session([user('hi')]))
  expect(outcome.error).toMatchObject({ code: 'loop_detected', reason: 'loop_detected' })
  expect(stored(outcome).filter(({ role }) => role === 'tool')).toHaveLength(5)
})

const endless = Array.from({ length: 20 }, (_, n) => [{ tool_call: { name: 'x', arguments: { n } } }])
const modelCalls = (outcome: Outcome) => types(outcome).filter((type) => type === 'agent_info').length

it.each([
  ['of the session', { maxIterations: 2 }, ''],
  ['of the agent', {}, 'max_iterations: 2'],
])('asks whether to go on at the limit %s, and stops when it may not', async (_, settings, keys) => {
  const asked: Question[] = []
  const answer = async (question: Question) => {
    asked.push(question)
    return { confirmation: 'reject' } as const
  }
  const outcome = await carryOut(runtimeOf(scripted(endless, keys)), session([user('hi')], { ...settings, answer }))
  expect(outcome.reason).toBe('normal')
  expect(asked).toEqual([{ content: { kind: 'continuation', max_iterations: 2 } }])
  expect(modelCalls(outcome)).toBe(2)
  expect(stored(outcome).at(-1)).toMatchObject({ role: 'assistant', content: expect.stringContaining('2 model calls') })
})

it('makes ten more model calls each time that a person says so', async () => {
  const asked: number[] = []
  const answer = async ({ content }: Question) => {
    if (content.kind === 'continuation') asked.push(content.max_iterations)
    return { confirmation: asked.length < 2 ? 'approve' : 'reject' } as const
  }
  const outcome = await carryOut(runtimeOf(scripted(endless)), session([user('hi')], { maxIterations: 2, answer }))
  expect(asked).toEqual([2, 12])
  expect(modelCalls(outcome)).toBe(12)
})

it('tells that the limit is reached, and stops, when nobody can be asked', async () => {
  const options = { maxIterations: 2, settings: { interactive: false } }
  const outcome = await carryOut(runtimeOf(scripted(endless)), session([user('hi')], options))
  expect(outcome.reason).toBe('normal')
  expect(outcome.events).toContainEqual({ type: 'max_iterations_reached', agent_name: 'root', max_iterations: 2 })
})

it('answers with the model that the session chose', async () => {
  const yaml = `${scripted([[{ text: 'default' }]])}
  other: {provider: scripted, model: other, provider_opts: {script: [[{text: override}]]}}`
  const outcome = await carryOut(runtimeOf(yaml), session([user('hi')], { model: 'other' }))
  expect(text(outcome)).toBe('override')
  expect(outcome.events[0]).toMatchObject({ available_agents: [{ model: 'other' }] })
})

it('fails the run when the chosen model means nothing any more', async () => {
  const outcome = await carryOut(runtimeOf(scripted([[]])), session([user('hi')], { model: 'gone' }))
  expect(outcome.error).toMatchObject({ name: 'RunFailure', code: 'model_error' } satisfies Partial<RunFailure>)
})

it.each([
  ['of the agent before that of the file', 'safety: strict', 'strict'],
  ['of the file', '', 'balanced'],
])("names the author's safety policy: that %s", (_, keys, policy) => {
  expect(runtimeOf(`${scripted([[]], keys)}\nruntime: {safety: balanced}`).safetyPolicy).toBe(policy)
})
