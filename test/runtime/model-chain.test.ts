import { describe, expect, it } from 'vitest'
import { createModels, type LanguageModel } from '../../src/models/models.ts'
import { backoff, type ChainOptions, ModelChain } from '../../src/runtime/model-chain.ts'
import { alone } from '../../src/runtime/model-selector.ts'
import { carryOut, session, stored, text, types, user } from './run-context.ts'
import { runtimeOf } from './test-agent.ts'
import { breaks, fails, says, startUpstream, type Upstream } from './upstream.ts'

const models = createModels({ env: {} })

/** What a model does in its first turn, and in its second. */
type Turns = readonly (readonly object[])[]

function plays(name: string, turns: Turns): Promise<LanguageModel> {
  return models.open({ provider: 'scripted', model: name, provider_opts: { script: [...turns] } })
}

const passing = { error: { code: 'model_error', retryable: true } }
const final = { error: { code: 'model_error' } }
const limited = { error: { code: 'rate_limited', retryable: true } }

interface Bench {
  readonly chain: ModelChain
  /** How long it waited, in milliseconds. */
  readonly waits: readonly number[]
  /** Sets the clock forward. */
  pass(ms: number): void
  /** Who answered, after whom; or with which code it failed. Turns are counted from 0. */
  ask(turn?: number): Promise<readonly string[]>
}

/** A chain of models of which each always does the same, or the same in its second turn. */
async function bench(steps: Turns, options: ChainOptions = {}, second: Turns = steps): Promise<Bench> {
  const [primary, ...fallbacks] = await Promise.all(
    steps.map((turn, place) => plays(`m${place}`, [turn, second[place] ?? turn])),
  )
  if (!primary) throw new Error('a chain needs a model')
  const waits: number[] = []
  let clock = 5000
  const chain = new ModelChain(alone(primary), fallbacks.map(alone), {
    ...options,
    now: () => clock,
    pause: async (ms) => void waits.push(ms),
  })
  const ask = async (turn = 0) => {
    const messages = Array.from({ length: turn }, () => ({ role: 'assistant' as const, content: 'before' }))
    const request = { purpose: 'turn', messages, tools: [] } as const
    const told: string[] = []
    try {
      for await (const part of chain.stream(request, new AbortController().signal)) {
        if (part.type === 'answering') told.push(part.again ? 'again' : part.model.model)
        if (part.type === 'answering' && part.instead) {
          told.push(`for ${part.instead.model.model} ${part.instead.attempt}/${part.instead.maxAttempts}`)
        }
      }
    } catch (error) {
      told.push(error instanceof Error && 'code' in error ? String(error.code) : String(error))
    }
    return told
  }
  const pass = (ms: number) => {
    clock += ms
  }
  return { chain, waits, ask, pass }
}

const answers = { text: 'fine' }

describe('a chain', () => {
  it('asks nobody else while the first model answers', async () => {
    const { ask, chain } = await bench([[answers], [answers]])
    expect(await ask()).toEqual(['m0'])
    expect(chain.current.model).toBe('m0')
  })

  it('asks a model again that may recover, with growing waits, and then the next', async () => {
    const { ask, waits, chain } = await bench([[passing], [answers]])
    expect(await ask()).toEqual(['m0', 'again', 'again', 'm1', 'for m0 3/3'])
    expect(waits.map((ms) => Math.round(ms / 200) * 200)).toEqual([200, 400])
    expect(chain.current.model).toBe('m0')
  })

  it.each([
    [0, '1/1', 0],
    [-1, '1/1', 0],
    [4, '5/5', 4],
  ])('retries %i times', async (retries, attempts, count) => {
    const { ask, waits } = await bench([[passing], [answers]], { retries })
    expect(await ask()).toEqual(['m0', ...Array(count).fill('again'), 'm1', `for m0 ${attempts}`])
    expect(waits).toHaveLength(count)
  })

  it.each([
    ['fails for good', final],
    ['takes no more requests', limited],
  ])('goes on at once when a model %s, and stays there for a minute', async (_, step) => {
    const { ask, waits, pass, chain } = await bench([[step], [answers]])
    expect(await ask()).toEqual(['m0', 'm1', 'for m0 1/3'])
    expect(waits).toEqual([])
    expect(chain.current.model).toBe('m1')
    pass(59_999)
    expect(await ask()).toEqual(['m1'])
    pass(1)
    expect(await ask()).toEqual(['m0', 'm1', 'for m0 1/3'])
  })

  it('stays with the fallback that answered, for as long as it is told', async () => {
    const { ask, pass } = await bench([[final], [final], [answers]], { cooldownMs: 10 })
    expect(await ask()).toEqual(['m0', 'm1', 'for m0 1/3', 'm2', 'for m1 1/3'])
    expect(await ask()).toEqual(['m2'])
    pass(10)
    expect((await ask())[0]).toBe('m0')
  })

  it.each([
    ['5m0s', 300_000],
    ['2h0m0s', 600_000],
    ['1s', 60_000],
  ])('leaves a model alone that asks for %s', async (retry_after, ms) => {
    const { ask, pass } = await bench([[{ error: { ...limited.error, retry_after } }], [answers]])
    await ask()
    pass(ms - 1)
    expect(await ask()).toEqual(['m1'])
    pass(1)
    expect((await ask())[0]).toBe('m0')
  })

  it('comes back to the first model when the one in its place fails', async () => {
    const { ask } = await bench([[final], [answers]], {}, [[answers], [final]])
    expect(await ask(0)).toEqual(['m0', 'm1', 'for m0 1/3'])
    expect(await ask(1)).toEqual(['m1', 'm0', 'for m1 1/3'])
    expect(await ask(1)).toEqual(['m0'])
  })

  it('moves no further once something was shown', async () => {
    const { ask } = await bench([[answers, final], [answers]])
    expect(await ask()).toEqual(['m0', 'model_error'])
  })

  it.each(['context_exceeded', 'request_too_large', 'media_too_large'])('asks nobody else after %s', async (code) => {
    const { ask } = await bench([[{ error: { code } }], [answers]])
    expect(await ask()).toEqual(['m0', code])
  })

  it('fails as its last model does', async () => {
    const { ask } = await bench([[final], [limited]])
    expect(await ask()).toEqual(['m0', 'm1', 'for m0 1/3', 'rate_limited'])
  })

  it.each([
    ['60s', [60_000, 60_000], 'waits'],
    ['61s', [], 'fails at once'],
  ])('%s: a rate limit with nobody else to ask: %s', async (retry_after, expected) => {
    const { ask, waits } = await bench([[{ error: { ...limited.error, retry_after } }]])
    expect(await ask()).toEqual(['m0', ...expected.map(() => 'again'), 'rate_limited'])
    expect(waits).toEqual(expected)
  })

  it('never waits longer than two seconds for another attempt', () => {
    expect([0, 1, 2, 3, 4, 5].map((attempt) => backoff(attempt, () => 0.5))).toEqual([200, 400, 800, 1600, 2000, 2000])
    expect([backoff(0, () => 0), backoff(0, () => 1)]).toEqual([180, 220.00000000000003])
  })
})

function pair(first: Upstream, second: Upstream, agentKeys = ''): string {
  const model = (url: string, name: string) =>
    `{provider: openai, model: ${name}, base_url: "${url}", token_key: TEST_KEY, cost: {input: 1, output: 1}}`
  return `
agents:
  root:
    model: first
    fallback: {models: [second]${agentKeys}}
models:
  first: ${model(first.url, 'gpt-one')}
  second: ${model(second.url, 'gpt-two')}
`
}

describe('an agent with fallback models', () => {
  const env = { TEST_KEY: 'k' }

  it('answers with the next one after a 429, tells it, and stays with it in its next run', async () => {
    await using first = await startUpstream(fails(429, { 'retry-after': '30' }))
    await using second = await startUpstream(says('from the second'))
    const runtime = runtimeOf(pair(first, second), env)
    const outcome = await carryOut(runtime, session([user('hi')]))
    expect(text(outcome)).toBe('from the second')
    const told = types(outcome).filter((type) => type.startsWith('agent_info') || type === 'model_fallback')
    expect(told).toEqual(['agent_info', 'model_fallback', 'agent_info'])
    expect(outcome.events.find(({ type }) => type === 'model_fallback')).toEqual({
      type: 'model_fallback',
      agent_name: 'root',
      failed_model: 'openai/gpt-one',
      fallback_model: 'openai/gpt-two',
      reason: expect.stringContaining('takes no more requests for now (429)'),
      attempt: 1,
      max_attempts: 3,
    })
    expect(stored(outcome)[0]?.model).toBe('openai/gpt-two')
    expect(outcome.events.find(({ type }) => type === 'token_usage')).toMatchObject({
      usage: { last_message: { Model: 'openai/gpt-two' } },
    })

    const again = await carryOut(runtime, session([user('hi')]))
    expect(text(again)).toBe('from the second')
    expect(types(again)).not.toContain('model_fallback')
    expect(first.calls).toHaveLength(1)
    expect(runtime.isLasting).toBe(true)
  })

  it('asks the next one for a whole answer when the first breaks before it says anything', async () => {
    await using first = await startUpstream(breaks())
    await using second = await startUpstream(says('whole'))
    const outcome = await carryOut(runtimeOf(pair(first, second, ', retries: -1'), env), session([user('hi')]))
    expect(text(outcome)).toBe('whole')
  })

  it('never says twice what was shown', async () => {
    await using first = await startUpstream(breaks('half '))
    await using second = await startUpstream(says('whole'))
    const outcome = await carryOut(runtimeOf(pair(first, second), env), session([user('hi')]))
    expect(text(outcome)).toBe('half ')
    expect(outcome.error).toMatchObject({ code: 'model_error' })
    expect(second.calls).toEqual([])
  })

  it('fails without asking another when the conversation is too long', async () => {
    await using first = await startUpstream(fails(413))
    await using second = await startUpstream(says('never'))
    const outcome = await carryOut(runtimeOf(pair(first, second), env), session([user('hi')]))
    expect(outcome.error).toMatchObject({ code: 'request_too_large' })
    expect(second.calls).toEqual([])
  })
})
