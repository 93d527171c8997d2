import { expect, it } from 'vitest'
import { carryOut, session, stored, text, user } from './run-context.ts'
import { runtimeOf, served } from './test-agent.ts'
import { breaks, fails, hangs, says, startUpstream } from './upstream.ts'

const env = { TEST_KEY: 'k' }

it('tries a server error again until it passes', async () => {
  await using upstream = await startUpstream(fails(503), fails(500), says('at ', 'last'))
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), session([user('hi')]))
  expect(text(outcome)).toBe('at last')
  expect(upstream.calls).toHaveLength(3)
  expect(stored(outcome)).toHaveLength(1)
})

it('gives up after the second retry', async () => {
  await using upstream = await startUpstream(fails(500))
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), session([user('hi')]))
  expect(outcome.error).toMatchObject({ name: 'RunFailure', code: 'model_error', reason: 'error' })
  expect(upstream.calls).toHaveLength(3)
})

it('tries a stream again that broke before it said anything', async () => {
  await using upstream = await startUpstream(breaks(), says('whole'))
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), session([user('hi')]))
  expect(text(outcome)).toBe('whole')
})

it('fails a run whose stream broke after something was shown, and stores nothing of it', async () => {
  await using upstream = await startUpstream(breaks('half ', 'of it'), says('whole'))
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), session([user('hi')]))
  expect(text(outcome)).toBe('half of it')
  expect(outcome.error).toMatchObject({ name: 'RunFailure', code: 'model_error' })
  expect(stored(outcome)).toEqual([])
  expect(upstream.calls).toHaveLength(1)
})

it.each([
  [401, 'model_error'],
  [400, 'model_error'],
  [429, 'rate_limited'],
  [413, 'request_too_large'],
])('fails at once on status %i with code %s', async (status, code) => {
  await using upstream = await startUpstream(fails(status, { 'retry-after': '61' }))
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), session([user('hi')]))
  expect(outcome.error).toMatchObject({ name: 'RunFailure', code })
  expect(upstream.calls).toHaveLength(1)
})

it('waits out a rate limit as long as the provider asks where no other model can be asked', async () => {
  await using upstream = await startUpstream(fails(429, { 'retry-after-ms': '5' }), says('in time'))
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), session([user('hi')]))
  expect(text(outcome)).toBe('in time')
  expect(upstream.calls).toHaveLength(2)
})

it('gives up on a rate limit that does not pass', async () => {
  await using upstream = await startUpstream(fails(429, { 'retry-after-ms': '5' }))
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), session([user('hi')]))
  expect(outcome.error).toMatchObject({ code: 'rate_limited' })
  expect(upstream.calls).toHaveLength(3)
})

it('leaves while it waits out a rate limit', async () => {
  const talk = session([user('hi')])
  await using upstream = await startUpstream((response) => {
    fails(429, { 'retry-after': '50' })(response)
    talk.stop()
  })
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), talk)
  expect(outcome.reason).toBe('canceled')
})

it('names the variable of a missing key', async () => {
  await using upstream = await startUpstream(says('never'))
  const outcome = await carryOut(runtimeOf(served(upstream.url)), session([user('hi')]))
  expect(outcome.error).toMatchObject({ code: 'model_error', message: expect.stringContaining('TEST_KEY') })
  expect(upstream.calls).toEqual([])
})

it('closes the connection to the model when the run is stopped in the middle of an answer', async () => {
  await using upstream = await startUpstream(hangs('well, '))
  const talk = session([user('hi')])
  const stop = ({ type }: { type: string }) => type === 'agent_choice' && talk.stop()
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), talk, stop)
  expect(outcome.reason).toBe('canceled')
  expect(stored(outcome)).toEqual([])
  await upstream.left
})

it('leaves while it waits for the next attempt', async () => {
  const talk = session([user('hi')])
  await using upstream = await startUpstream((response) => {
    fails(500)(response)
    talk.stop()
  })
  const outcome = await carryOut(runtimeOf(served(upstream.url), env), talk)
  expect(outcome.reason).toBe('canceled')
  expect(upstream.calls).toHaveLength(1)
})

it('sends what was said, and what is steered in from the next call on', async () => {
  await using upstream = await startUpstream(says('one'), says('two'))
  const talk = session([user('first')])
  const runtime = runtimeOf(served(upstream.url, 'instruction: Be brief.'), env)
  await carryOut(runtime, talk, ({ type }) => {
    if (type === 'agent_choice' && upstream.calls.length === 1) talk.steering.push(user('second'))
  })
  expect(upstream.calls.map(({ messages }) => messages.map(({ role, content }) => [role, content]))).toEqual([
    [
      ['system', 'Be brief.'],
      ['user', 'first'],
    ],
    [
      ['system', 'Be brief.'],
      ['user', 'first'],
      ['assistant', 'one'],
      ['user', 'second'],
    ],
  ])
})

it('asks for the structured output that the agent is for', async () => {
  await using upstream = await startUpstream(says('{"answer":"42"}'))
  const keys =
    'structured_output: {name: verdict, strict: true, schema: {type: object, properties: {answer: {type: string}}}}'
  const outcome = await carryOut(runtimeOf(served(upstream.url, keys), env), session([user('hi')], { untitled: true }))
  expect(text(outcome)).toBe('{"answer":"42"}')
  const formats = upstream.calls.map(({ response_format }) => response_format).sort()
  expect(formats).toMatchObject([{ type: 'json_schema', json_schema: { name: 'verdict', strict: true } }, undefined])
})
