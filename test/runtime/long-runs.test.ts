import { describe, expect, it } from 'vitest'
import type { Item, Message } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import {
  assistant,
  carryOut,
  type Outcome,
  type SessionOptions,
  session,
  stored,
  types,
  user,
  warnings,
} from './run-context.ts'
import { runtimeOf, served } from './test-agent.ts'
import { type Answer, fails, overflows, reports, says, startUpstream, wants } from './upstream.ts'

const env = { TEST_KEY: 'k', PATH: process.env.PATH ?? '' }
const toSummarise = /^You compress conversations/

interface Bench extends SessionOptions {
  readonly window?: number
  readonly agentKeys?: string
  readonly modelKeys?: string
  readonly onEvent?: (event: Outcome['events'][number], talk: ReturnType<typeof session>) => void
}

interface Ran extends Outcome {
  /** What was asked: a turn, or a summary. */
  readonly calls: readonly ('turn' | 'summary')[]
  /** What the n-th call was sent, without system messages. */
  sent(call: number): readonly string[]
  system(call: number): string
}

/** A run on a server whose answers come one after another, for turns and for summaries. */
async function ran(
  answers: readonly Answer[],
  history: readonly (Message | Item)[],
  options: Bench = {},
): Promise<Ran> {
  const { window, agentKeys, modelKeys = '', onEvent, ...more } = options
  await using upstream = await startUpstream(...answers)
  const size = window === undefined ? '' : `provider_opts: {context_size: ${window}}`
  const talk = session(history, more)
  const runtime = runtimeOf(served(upstream.url, agentKeys, `${size}\n${modelKeys}`), env)
  const outcome = await carryOut(runtime, talk, (event) => onEvent?.(event, talk))
  await runtime.close()
  const texts = upstream.calls.map(({ messages }) =>
    messages.map(
      ({ role, content }) => [role, typeof content === 'string' ? content : JSON.stringify(content)] as const,
    ),
  )
  const systems = texts.map((one) =>
    one
      .filter(([role]) => role === 'system')
      .map(([, text]) => text)
      .join('\n'),
  )
  return {
    ...outcome,
    calls: systems.map((text) => (toSummarise.test(text) ? 'summary' : 'turn')),
    sent: (call) => (texts[call] ?? []).filter(([role]) => role !== 'system').map(([, text]) => text),
    system: (call) => systems[call] ?? '',
  }
}

/** What became of the compactions. */
function outcomes({ events }: Outcome): readonly unknown[] {
  return events.flatMap((event) => (event.type === 'session_compaction' && event.outcome ? [event.outcome] : []))
}

const long = (name: string, tokens: number) => name.padEnd(tokens * 3.5, '.')
const think = 'toolsets: [{type: think}]'
const thinks = wants(['think', { thought: 'hm' }])
const full = [user(long('a', 600)), assistant(long('b', 400)), user('go on')]

describe('a history that fills the window', () => {
  it('is compacted before the model is asked', async () => {
    const made = await ran([says('in short'), says('fine')], full, { window: 1000 })
    expect(made.calls).toEqual(['summary', 'turn'])
    expect(made.sent(1)).toEqual(['Summary of the conversation so far:\n\nin short', 'go on'])
    expect(stored(made).map(({ content }) => content)).toEqual(['fine'])
    expect(outcomes(made)).toEqual(['applied'])
  })

  it('is compacted from the threshold of the agent on', async () => {
    const history = [user(long('a', 400)), assistant('b'), user('go on')]
    expect((await ran([says('fine')], history, { window: 1000 })).calls).toEqual(['turn'])
    const options = { window: 1000, agentKeys: 'compaction_threshold: 0.4' }
    expect((await ran([says('in short'), says('fine')], history, options)).calls).toEqual(['summary', 'turn'])
  })

  it('is left alone where the file wants no compaction, or the window is not known', async () => {
    const options = { window: 1000, agentKeys: 'session_compaction: false' }
    expect((await ran([says('fine')], full, options)).calls).toEqual(['turn'])
    expect((await ran([says('fine')], full)).calls).toEqual(['turn'])
  })

  it('is compacted between the turns of a run too, with every call beside its result', async () => {
    const answers = [reports(90, 820, long('x', 810)), says('in short'), says('fine')]
    const steered = await ran(answers, [user('begin')], {
      window: 1000,
      onEvent: ({ type }, talk) => type === 'agent_info' && talk.taken.length === 0 && talk.followUps.push(user('so?')),
    })
    expect(steered.calls).toEqual(['turn', 'summary', 'turn'])

    const history = [user(long('a', 800)), user('think')]
    const made = await ran([thinks, says('in short'), says('fine')], history, { window: 1000, agentKeys: think })
    expect(made.calls).toEqual(['turn', 'turn'])
    const fuller = [user(long('a', 870)), user('think')]
    const cut = await ran([thinks, says('in short'), says('fine')], fuller, { window: 1000, agentKeys: think })
    expect(cut.calls).toEqual(['turn', 'summary', 'turn'])
    expect(cut.sent(2).slice(0, 2)).toEqual(['Summary of the conversation so far:\n\nin short', 'think'])
    expect(cut.sent(2)).toHaveLength(4)
  })

  it('is no fuller than what the limits for results let the model read', async () => {
    const answers = [wants(['shell', { cmd: "printf 'x%.0s' $(seq 5000)" }]), says('fine')]
    const agentKeys = 'toolsets: [{type: shell}]\nmax_tool_result_tokens: 50'
    const settings = { safety_policy: 'autonomous' } as const
    const made = await ran(answers, [user('print')], { window: 1000, agentKeys, settings })
    expect(made.calls).toEqual(['turn', 'turn'])
    const wide = await ran(answers, [user('print')], {
      window: 1000,
      agentKeys: 'toolsets: [{type: shell}]',
      settings: { ...settings, max_tool_result_tokens: 50 },
    })
    expect(wide.calls).toEqual(['turn', 'turn'])
    const free = await ran([...answers.slice(0, 1), says('in short'), says('fine')], [user('print')], {
      window: 1000,
      agentKeys: 'toolsets: [{type: shell}]',
      settings,
    })
    expect(free.calls).toEqual(['turn', 'summary', 'turn'])
  })

  it('is not compacted again in a run in which that has failed', async () => {
    const answers = [fails(500), thinks, says('fine')]
    const made = await ran(answers, full, { window: 1000, agentKeys: think })
    expect(made.calls).toEqual(['summary', 'turn', 'turn'])
    expect(outcomes(made)).toEqual(['failed'])
    expect(made.reason).toBe('normal')
  })
})

describe('a compaction that is asked for', () => {
  it('comes before the next model call, with what is to be kept in mind', async () => {
    const made = await ran([thinks, says('in short'), says('fine')], [user(long('a', 300)), user('think')], {
      window: 1000,
      agentKeys: think,
      onEvent: ({ type }, talk) => type === 'tool_call_response' && talk.compactions.push({ prompt: 'the port' }),
    })
    expect(made.calls).toEqual(['turn', 'summary', 'turn'])
    expect(made.system(1)).toMatch(/the port$/)
  })

  it('comes at the end of the run at the latest', async () => {
    const made = await ran([says('fine'), says('in short')], [user(long('a', 300))], {
      window: 1000,
      onEvent: ({ type }, talk) => type === 'message_added' && talk.compactions.push({ prompt: undefined }),
    })
    expect(made.calls).toEqual(['turn', 'summary'])
    expect(types(made).slice(-1)).toEqual(['session_compaction'])
  })

  it('does not keep the history from being compacted when it is full', async () => {
    const talk = { window: 1000, agentKeys: think }
    const history = [user(long('a', 890)), user('think')]
    const none = await ran([says('fine')], [user('a')], {
      ...talk,
      onEvent: ({ type }, { compactions }) => type === 'toolset_info' && compactions.push({ prompt: undefined }),
    })
    expect(outcomes(none)).toEqual(['skipped'])
    const made = await ran([fails(500), thinks, says('in short'), says('fine')], history.slice(0, 1), {
      ...talk,
      onEvent: ({ type }, { compactions }) => type === 'toolset_info' && compactions.push({ prompt: undefined }),
    })
    expect(made.calls).toEqual(['summary', 'turn', 'summary', 'turn'])
    expect(outcomes(made)).toEqual(['failed', 'applied'])
  })
})

describe('a conversation that the model finds too long', () => {
  const history = [user(long('a', 300)), assistant('b'), user('go on')]
  const warning = 'The conversation is too long for the model, so its older part is replaced by a summary.'

  it('is compacted and tried once more, with a warning', async () => {
    const made = await ran([overflows(), says('in short'), says('fine')], history, { window: 1000 })
    expect(made.calls).toEqual(['turn', 'summary', 'turn'])
    expect(warnings(made)).toEqual([warning])
    expect(made.sent(2)).toEqual(['Summary of the conversation so far:\n\nin short', 'b', 'go on'])
    expect(made.reason).toBe('normal')
  })

  it('is compacted where the window is not known, or larger than the model says', async () => {
    for (const window of [undefined, 1_000_000]) {
      const made = await ran([overflows(), says('in short'), says('fine')], history, { window })
      expect(made.calls).toEqual(['turn', 'summary', 'turn'])
      expect(made.reason).toBe('normal')
    }
  })

  it.each([
    ['when it still is', [overflows(), says('in short'), overflows()], ['applied']],
    ['when no summary can be made', [overflows(), fails(500)], ['failed']],
  ])('ends the run %s', async (_, answers, became) => {
    const made = await ran(answers, history, { window: 1000 })
    expect(made.error).toBeInstanceOf(RunFailure)
    expect(made.error).toMatchObject({ code: 'context_exceeded' })
    expect(outcomes(made)).toEqual(became)
    expect(made.calls.filter((call) => call === 'summary')).toHaveLength(1)
  })

  it('ends the run at once where the file wants no compaction', async () => {
    const made = await ran([overflows()], history, { window: 1000, agentKeys: 'session_compaction: false' })
    expect(made.error).toMatchObject({ code: 'context_exceeded' })
    expect(warnings(made)).toEqual([])
    expect(made.calls).toEqual(['turn'])
  })
})

describe('a budget', () => {
  const modelKeys = 'cost: {input: 1000000, output: 1000000}'
  const budget = (limits: object) => ({ settings: { budget: limits } })

  it('stops a run before its next model call', async () => {
    const made = await ran([thinks, says('never')], [user('a')], {
      ...budget({ max_tokens: 1 }),
      spent: { cost: 0, tokens: 0, elapsed_seconds: 0 },
      agentKeys: think,
    })
    // The server reports nothing for calls of tools.
    expect(made.calls).toEqual(['turn', 'turn'])
    const over = await ran([says('one'), says('never')], [user('a')], {
      ...budget({ max_tokens: 10 }),
      onEvent: ({ type }, talk) => type === 'message_added' && talk.followUps.push(user('and?')),
    })
    expect(over.calls).toEqual(['turn'])
    expect(over.reason).toBe('budget_exceeded')
    const exceeded = { type: 'budget_exceeded', budget: 'session', limit: 'max_tokens', used: 10, max: 10 }
    expect(over.events.at(-1)).toMatchObject(exceeded)
  })

  it('is told to the model when four fifths of it are spent', async () => {
    const options = { ...budget({ max_tokens: 12 }), modelKeys }
    const made = await ran([says('one'), says('two')], [user('a')], {
      ...options,
      onEvent: ({ type }, talk) => type === 'token_usage' && talk.followUps.push(user('and?')),
    })
    expect(made.calls).toEqual(['turn', 'turn'])
    expect(made.system(0)).not.toMatch(/nearly used up/)
    expect(made.system(1)).toMatch(/nearly used up/)
  })

  it('counts answers that say nothing, summaries and titles once, like the session itself', async () => {
    const file = (keys: string) => `${keys}\nbudgets: [all]`
    const all = '\nbudgets: {all: {max_tokens: 1000000}}'
    await using upstream = await startUpstream(
      reports(100, 10, 'A title'),
      reports(200, 20, 'in short'),
      reports(400, 40),
    )
    const yaml = served(upstream.url, file('description: x'), `provider_opts: {context_size: 1000}\n${modelKeys}`)
    const talk = session(full, { untitled: true, settings: { budget: { max_tokens: 1_000_000 } } })
    const { events } = await carryOut(runtimeOf(`${yaml}${all}`, env), talk)
    const standings = events.flatMap((event) => (event.type === 'budget_usage' ? [event.budgets] : [])).at(-1)
    expect(upstream.calls).toHaveLength(3)
    expect(talk.context.spent()).toMatchObject({ tokens: 770, cost: 770 })
    expect(standings).toMatchObject([
      { name: 'session', tokens: 770, cost: 770 },
      { name: 'all', tokens: 770, cost: 770, per_agent: [{ agent_name: 'root', tokens: 770 }] },
    ])
    expect(talk.context.cost).toBe(770)
  })

  it('counts the time of a turn that was stopped', async () => {
    const talk = session([user('a')], { settings: { safety_policy: 'strict' }, answer: () => new Promise(() => {}) })
    await using upstream = await startUpstream(wants(['shell', { cmd: 'true' }]))
    const runtime = runtimeOf(served(upstream.url, 'toolsets: [{type: shell}]'), env)
    const { events } = await carryOut(runtime, talk, ({ type }) => {
      if (type === 'message_added') setImmediate(() => talk.stop())
    })
    expect(events.map(({ type }) => type)).toContain('time_spent')
    expect(talk.context.spent().elapsed_seconds).toBeGreaterThan(0)
    await runtime.close()
  })
})
