import { describe, expect, it, onTestFinished } from 'vitest'
import type { Item, Message } from '../../src/protocol/protocol.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { assistant, carryOut, type Outcome, type SessionOptions, session, types, user } from './run-context.ts'
import { runtimeOf, scripted, served } from './test-agent.ts'
import { type Answer, fails, hangs, reports, says, startUpstream } from './upstream.ts'

const env = { TEST_KEY: 'k' }

/** A text of so many tokens, with the five of its message, that begins with a name. */
const sized = (name: string, tokens: number) => name.padEnd(Math.floor((tokens - 5) * 3.5), '.')

function tool(content: string, id = 'c1'): Message {
  return { agent_name: 'root', message: { role: 'tool', content, tool_call_id: id } }
}

const called = (args: string) => {
  return assistant('', { tool_calls: [{ id: 'c1', type: 'function', function: { name: 'shell', arguments: args } }] })
}

interface Bench {
  readonly answers?: readonly Answer[]
  /** Tokens that the model can read; unknown without. */
  readonly window?: number
  readonly agentKeys?: string
  readonly modelKeys?: string
  readonly prompt?: string
  readonly session?: SessionOptions
}

interface Compacted extends Outcome {
  /** What the model was asked; nothing when it was not. */
  readonly asked: { readonly system: string; readonly text: string; readonly most: unknown } | undefined
  readonly summary: Item | undefined
  readonly outcome: string | undefined
}

/** A runtime whose run is a compaction. */
function compacting(runtime: Runtime, prompt?: string): Runtime {
  const { compact } = runtime
  if (compact === undefined) throw new Error('this runtime compacts nothing')
  return { ...runtime, run: (context) => compact(context, { prompt }) }
}

async function compacted(history: readonly (Message | Item)[], options: Bench = {}): Promise<Compacted> {
  const { answers = [says('a summary')], window, agentKeys, modelKeys = '', prompt } = options
  const upstream = await startUpstream(...answers)
  onTestFinished(() => upstream[Symbol.asyncDispose]())
  const size = window === undefined ? '' : `provider_opts: {context_size: ${window}}`
  const runtime = runtimeOf(served(upstream.url, agentKeys, `${size}\n${modelKeys}`), env)
  const outcome = await carryOut(compacting(runtime, prompt), session(history, options.session))
  const summaries = outcome.events.flatMap((event) => (event.type === 'session_summary' ? [event] : []))
  const ends = outcome.events.flatMap((event) => (event.type === 'session_compaction' ? [event.outcome] : []))
  const [call] = upstream.calls
  const asked = call && {
    system: String(call.messages[0]?.content),
    text: String(call.messages[1]?.content),
    most: call.max_tokens,
  }
  return { ...outcome, asked, summary: summaries[0], outcome: ends.at(-1) }
}

describe('the tail', () => {
  it('is a fifth of the window, from its first message on', async () => {
    const history = [
      user(sized('a', 100)),
      assistant(sized('b', 100)),
      user(sized('c', 100)),
      assistant(sized('d', 99)),
    ]
    const { summary, asked } = await compacted(history, { window: 1000 })
    expect(summary).toMatchObject({ summary: 'a summary', first_kept_entry: 2 })
    expect(asked?.text).toMatch(/^User: a\.+\n\nAssistant: b\.+$/)
  })

  it('is at most 20,000 tokens', async () => {
    const history = Array.from({ length: 10 }, (_, place) => user(sized(`m${place}`, 4900)))
    const { summary } = await compacted(history, { window: 1_000_000 })
    expect(summary?.first_kept_entry).toBe(6)
  })

  it('is measured in a usual window where none is known', async () => {
    const history = Array.from({ length: 10 }, (_, place) => user(sized(`m${place}`, 4900)))
    const { summary, asked } = await compacted(history)
    expect(summary?.first_kept_entry).toBe(6)
    expect(asked?.most).toBe(16_000)
  })

  it('begins with no result of a tool, whose call would be missing', async () => {
    const history = [user('do it'), called('{"cmd":"ls"}'), tool(sized('r', 150)), assistant('done'), user('more')]
    const whole = await compacted(history, { window: 1000 })
    expect(whole.summary?.first_kept_entry).toBe(undefined)
    const cut = await compacted(history.with(1, called(JSON.stringify({ cmd: 'x'.repeat(200) }))), { window: 1000 })
    expect(cut.summary?.first_kept_entry).toBe(3)
    expect(cut.asked?.text).toMatch(/^User: do it\n\nAssistant: \[calls shell \{"cmd":"x+"\}\]\n\nResult: r\.+$/)
  })

  it('is empty when the last message alone is larger', async () => {
    const history = [user('a'), assistant('b'), user(sized('c', 300))]
    const { summary, asked } = await compacted(history, { window: 1000 })
    expect(summary?.first_kept_entry).toBe(3)
    expect(asked?.text).toMatch(/User: c\.+$/)
  })

  it('is measured in the window of the agent where the summariser has a larger one', async () => {
    const large = '  large: {provider: scripted, model: large, provider_opts: {context_size: 1000000}}'
    const yaml = scripted([[{ text: 'x' }]], 'compaction_model: large').replace(
      'context_size: 4096',
      'context_size: 1000',
    )
    const history = [user(sized('a', 150)), user(sized('b', 150)), user(sized('c', 150))]
    const { events } = await carryOut(compacting(runtimeOf(`${yaml}${large}`)), session(history))
    expect(events.find(({ type }) => type === 'session_summary')).toMatchObject({ first_kept_entry: 2 })
    expect(events.find(({ type }) => type === 'token_usage')).toMatchObject({ usage: { context_limit: 1000 } })
  })
})

describe('what is to be summarised', () => {
  it('is told as it was said, with calls, results and attachments, and without what no model reads', async () => {
    const image = { type: 'image_url' as const, image_url: { url: 'data:image/png;base64,AAAA' } }
    const parts = [{ type: 'text' as const, text: 'look at this' }, image]
    const history: readonly (Message | Item)[] = [
      { agent_name: '', message: { role: 'user', content: '', multi_content: parts } },
      called('{}'),
      tool('a result'),
      { error: { message: 'failed' } },
      assistant('cut', { finish_reason: 'interrupted' }),
      { agent_name: '', message: { role: 'system', content: 'secret' } },
      user(sized('last', 300)),
    ]
    const { asked } = await compacted(history, { window: 1000 })
    const told = 'User: look at this\n[image_url]\n\nAssistant: [calls shell {}]\n\nResult: a result\n\nUser: last.'
    expect(asked?.text.slice(0, told.length)).toBe(told)
  })

  it('may become as long as a quarter of the window, and 16,000 tokens at most', async () => {
    const history = [user('a'), user(sized('b', 30_000))]
    expect((await compacted(history, { window: 40_000 })).asked?.most).toBe(10_000)
    expect((await compacted(history, { window: 1_000_000 })).asked?.most).toBe(16_000)
  })

  it('loses its beginning where the summariser cannot read so much', async () => {
    const history = Array.from({ length: 20 }, (_, place) => user(sized(`m${place}`, 100)))
    const { asked, summary } = await compacted(history, { window: 1000 })
    expect(summary?.first_kept_entry).toBe(18)
    expect(asked?.text).toMatch(/^User: m\d+\.+/)
    expect(asked?.text).not.toContain('m0.')
    expect(asked?.text).toContain('m17.')
    const size = ((asked?.text.length ?? 0) + (asked?.system.length ?? 0)) / 3.5
    expect(size + 250).toBeLessThanOrEqual(1000)
  })

  it('is cut in its middle where one message alone is too long for the summariser', async () => {
    const { asked, outcome } = await compacted([user('before'), user(`${sized('first', 5000)} last`)], { window: 1000 })
    expect(outcome).toBe('applied')
    expect(asked?.text).toMatch(/^User: first\.+\n\[… \d+ characters left out …\]\n\.+ last$/)
  })

  it('begins with the summary of before, however little of what followed fits', async () => {
    const history: readonly (Message | Item)[] = [
      user('long ago'),
      user('kept then'),
      { summary: 'what was', first_kept_entry: 1 },
      ...Array.from({ length: 20 }, (_, place) => user(sized(`m${place}`, 100))),
    ]
    const { asked } = await compacted(history.slice(0, 5), { window: 300 })
    expect(asked?.text).toMatch(/^Summary of what was said before:\nwhat was\n\n/)
    const { asked: much } = await compacted(history, { window: 1000 })
    expect(much?.text).toMatch(/^Summary of what was said before:\nwhat was\n\nUser: m1\d/)
    const few = await compacted([...history.slice(0, 3), user(sized('c', 300))], { window: 1000 })
    expect(few.asked?.text).toMatch(/what was\n\nUser: kept then\n\nUser: c\.+$/)
    expect(few.asked?.text).not.toContain('long ago')
  })

  it('is summarised with what a person wants to be kept in mind', async () => {
    const history = [user('a'), user(sized('b', 300))]
    const { asked } = await compacted(history, { window: 1000, prompt: 'the port is 8080' })
    expect(asked?.system).toMatch(/the port is 8080$/)
    expect((await compacted(history, { window: 1000, prompt: '' })).asked?.system).not.toMatch(/mind/)
  })
})

describe('several compactions', () => {
  it('keep what an earlier one has kept, as far as it still fits', async () => {
    const history: readonly (Message | Item)[] = [
      user(sized('a', 500)),
      user(sized('b', 90)),
      { summary: 'of a', first_kept_entry: 1 },
      user(sized('c', 90)),
    ]
    expect(await compacted(history, { window: 1000 })).toMatchObject({ outcome: 'skipped', asked: undefined })
    const { summary, asked } = await compacted([...history, user(sized('d', 90))], { window: 1000 })
    expect(summary?.first_kept_entry).toBe(3)
    expect(asked?.text).toMatch(/^Summary of what was said before:\nof a\n\nUser: b\.+$/)
  })

  it('do nothing when nothing was said in between', async () => {
    const history = [user(sized('a', 500)), { summary: 'of a', first_kept_entry: 1 }]
    expect(await compacted(history, { window: 1000 })).toMatchObject({ outcome: 'skipped', asked: undefined })
  })
})

describe('a compaction', () => {
  const history = [user('a'), assistant('b', { cost: 2 }), user(sized('c', 300))]
  const price = 'cost: {input: 1000000, output: 1000000}'

  it('tells its beginning, the summary with what it took, how full the window is now, and its end', async () => {
    const made = await compacted(history, { window: 1000, modelKeys: price, answers: [reports(70, 30, ' short ')] })
    expect(types(made)).toEqual(['session_compaction', 'session_summary', 'token_usage', 'session_compaction'])
    expect(made.events).toMatchObject([
      { status: 'started', agent_name: 'root' },
      {
        summary: 'short',
        first_kept_entry: 3,
        model: 'openai/gpt-test',
        cost: 100,
        usage: { input_tokens: 70, output_tokens: 30 },
      },
      { usage: { input_tokens: 30, output_tokens: 0, context_length: 30, context_limit: 1000, cost: 102 } },
      { status: 'completed', outcome: 'applied' },
      { type: 'time_spent' },
    ])
    expect(made.reason).toBe('normal')
  })

  it.each([
    ['is skipped when the model says nothing, which still costs', [reports(70, 30, ' \n')], 'skipped', ['usage_spent']],
    ['fails when the model does', [fails(500)], 'failed', []],
  ])('%s, and changes nothing', async (_, answers, outcome, told) => {
    const made = await compacted(history, { window: 1000, modelKeys: price, answers })
    expect(made).toMatchObject({ outcome, summary: undefined, reason: 'normal' })
    const between = made.events.slice(1, -2)
    expect(between.map(({ type }) => type)).toEqual(told)
    expect(between).toMatchObject(told.map(() => ({ cost: 100 })))
  })

  it('is skipped without a question when there is nothing to summarise', async () => {
    const skipped = { outcome: 'skipped', asked: undefined, reason: 'normal' }
    expect(await compacted([])).toMatchObject(skipped)
    expect(await compacted([user('a'), assistant('b')])).toMatchObject(skipped)
    expect(await compacted([{ summary: 'all', first_kept_entry: 7 }])).toMatchObject(skipped)
  })

  it('tells that it has ended, also when it is stopped in its middle', async () => {
    await using upstream = await startUpstream(hangs('half a'))
    const talk = session(history)
    const runtime = compacting(runtimeOf(served(upstream.url, '', 'provider_opts: {context_size: 1000}'), env))
    const run = carryOut(runtime, talk, ({ type }) => {
      if (type === 'session_compaction') setImmediate(() => talk.stop())
    })
    const outcome = await run
    expect(outcome.events).toMatchObject([
      { type: 'session_compaction', status: 'started' },
      { type: 'session_compaction', status: 'completed', outcome: 'skipped' },
      { type: 'time_spent' },
    ])
    expect(outcome.error).toBeDefined()
  })

  it('asks nothing when nothing more may be spent', async () => {
    const spent = { cost: 1, tokens: 0, elapsed_seconds: 0 }
    const options = { settings: { budget: { max_cost: 1 } }, spent }
    const made = await compacted(history, { window: 1000, session: options })
    expect(made).toMatchObject({ reason: 'budget_exceeded', asked: undefined })
    expect(types(made)).toEqual(['budget_exceeded'])
  })
})
