import { expect, it } from 'vitest'
import { titleIn } from '../../src/runtime/title.ts'
import { assistant, carryOut, session, text, titles, types, user } from './run-context.ts'
import { runtimeOf, scripted, served } from './test-agent.ts'
import { fails, hangs, says, startUpstream } from './upstream.ts'

const env = { TEST_KEY: 'k' }

function titledBy(url: string): string {
  const model = `{provider: openai, model: namer, base_url: "${url}", token_key: TEST_KEY}`
  return `${scripted([[{ text: 'an answer' }]]).replace('model: test', 'model: test\n    title_model: namer')}\n  namer: ${model}`
}

it('names an untitled session while it answers', async () => {
  const outcome = await carryOut(
    runtimeOf(scripted([[{ text: 'hello' }]])),
    session([user('plan a trip')], { untitled: true }),
  )
  expect(titles(outcome)).toEqual(['plan a trip'])
  expect(text(outcome)).toBe('hello')
})

it('leaves a title alone that is there', async () => {
  const outcome = await carryOut(runtimeOf(scripted([[{ text: 'hello' }]])), session([user('hi')]))
  expect(titles(outcome)).toEqual([])
})

it('makes no title of nothing', async () => {
  const outcome = await carryOut(runtimeOf(scripted([[{ text: 'hello' }]])), session([], { untitled: true }))
  expect(titles(outcome)).toEqual([])
})

it('asks the title model once, for little, with the texts of the user as a numbered list', async () => {
  await using upstream = await startUpstream(says('\n  Trip to Rome  \n', 'or not'))
  const history = [user('plan a trip'), assistant('where to?'), user('to Rome')]
  const outcome = await carryOut(runtimeOf(titledBy(upstream.url), env), session(history, { untitled: true }))
  expect(titles(outcome)).toEqual(['Trip to Rome'])
  expect(upstream.calls).toHaveLength(1)
  expect(upstream.calls[0]).toMatchObject({ model: 'namer', max_tokens: 20 })
  expect(upstream.calls[0]?.messages.at(-1)).toMatchObject({ role: 'user', content: '1. plan a trip\n2. to Rome' })
})

it('tells the title while the answer is still being written', async () => {
  await using upstream = await startUpstream(hangs('and so'))
  const yaml = served(upstream.url, '', 'title_model: namer').concat('  namer: {provider: scripted, model: namer}')
  const talk = session([user('plan a trip')], { untitled: true })
  const outcome = await carryOut(runtimeOf(yaml, env), talk, ({ type }) => type === 'session_title' && talk.stop())
  expect(titles(outcome)).toEqual(['plan a trip'])
  expect(outcome.reason).toBe('canceled')
})

it('goes on without a title when its model fails', async () => {
  await using upstream = await startUpstream(fails(500))
  const outcome = await carryOut(runtimeOf(titledBy(upstream.url), env), session([user('hi')], { untitled: true }))
  expect(outcome.reason).toBe('normal')
  expect(titles(outcome)).toEqual([])
  expect(types(outcome)).not.toContain('warning')
})

it.each([
  ['fails', fails(500)],
  ['says nothing', says('')],
])('asks the fallbacks of the agent for a title when its model %s', async (_, answer) => {
  await using upstream = await startUpstream(answer)
  const yaml = titledBy(upstream.url).replace('model: played\n', 'model: played\n    fallback: {models: [spare]}\n')
  const outcome = await carryOut(
    runtimeOf(`${yaml}\n  spare: {provider: scripted, model: spare}`, env),
    session([user('plan a trip')], { untitled: true }),
  )
  expect(titles(outcome)).toEqual(['plan a trip'])
  expect(upstream.calls).toHaveLength(1)
})

it('goes on with the model of the turn when there is no such title model', async () => {
  const yaml = scripted([[{ text: 'x' }]]).replace('model: test', 'model: test\n    title_model: amazon-bedrock/nova')
  const outcome = await carryOut(runtimeOf(yaml), session([user('hi you')], { untitled: true }))
  expect(titles(outcome)).toEqual(['hi you'])
})

it('takes the title call along when the run is stopped', async () => {
  const talk = session([user('hi')], { untitled: true })
  await using upstream = await startUpstream((response) => {
    hangs('Trip')(response)
    talk.stop()
  })
  const yaml = titledBy(upstream.url).replace('"text":"an answer"', '"delay":"1h"')
  const outcome = await carryOut(runtimeOf(yaml, env), talk)
  expect(outcome.reason).toBe('canceled')
  await upstream.left
})

it('takes the title call along when the run fails', async () => {
  await using upstream = await startUpstream(hangs('Trip'))
  const yaml = titledBy(upstream.url).replace('"text":"an answer"', '"error":{"code":"model_error"}')
  const outcome = await carryOut(runtimeOf(yaml, env), session([user('hi')], { untitled: true }))
  expect(outcome.error).toMatchObject({ name: 'RunFailure' })
})

it.each([
  ['the first line that says something', '\n\n  A trip \nmore', 'A trip'],
  ['fifty visible characters', '👩‍👩‍👧'.repeat(60), '👩‍👩‍👧'.repeat(50)],
  ['nothing of nothing', ' \n ', undefined],
])('takes %s as a title', (_, answer, title) => {
  expect(titleIn(answer)).toBe(title)
})
