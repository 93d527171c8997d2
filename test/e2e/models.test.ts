import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { createModels, Run, SessionModels, SessionRecovery, sourceLoader } from '../../src/index.ts'
import { createAgents } from '../../src/runtime/agents.ts'
import { breaks, fails, hangs, says, startUpstream } from '../runtime/upstream.ts'
import type { Client } from '../server/client.ts'
import { tempDir } from '../store/temp-dir.ts'
import { createSession, House, scripted, snapshotOf, user } from './house.ts'
import { managedServer } from './managed-server.ts'
import { type Frame, readRun, said } from './resuming-reader.ts'

const key = 'sk-test-0123456789abcdef'
const variables = { OPENAI_API_KEY: key }

/** An agent on OpenAI's chat completions, at an address of one's own if there is one. */
function openai(url?: string): string {
  const it = { provider: 'openai', model: 'gpt-4o', ...(url && { base_url: url }) }
  return JSON.stringify({ models: { it }, agents: { root: { model: 'it', instruction: 'Be brief.' } } })
}

type Served = { readonly client: Client }

/** Runs the agent in a session that has a title, so that every call is a turn. */
async function run({ client }: Served, session?: string) {
  const id = session ?? (await createSession(client, { title: 'A title' }))
  const { frames } = await readRun(client.url, id, { agent: 'it', text: 'hello', cuts: [] })
  return { id, frames }
}

const Runs = z.array(Run)

/** What everybody sees of a run that failed; returns what a person is told. */
async function checkFailure({ client }: Served, id: string, frames: readonly Frame[], code: string): Promise<string> {
  const errors = frames.filter(({ event }) => event.type === 'error')
  expect(errors.map(({ event }) => event)).toMatchObject([{ code, session_id: id, agent_name: 'root' }])
  const message = String(errors[0]?.event.error)
  expect(message).not.toContain(key)
  expect(frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'error' })
  const [last] = Runs.parse((await client.call('listRuns', { params: { id } })).body)
  expect(last).toMatchObject({ status: 'failed', reason: 'error', error: { code, message } })
  const { errors: kept } = SessionRecovery.parse((await client.call('getRecovery', { params: { id } })).body)
  expect(kept).toMatchObject([{ code, message, agent_name: 'root' }])
  expect(await snapshotOf(client, id)).toMatchObject({ streaming: false })
  return message
}

/** The session is as good as before. */
async function checkUsable(served: Served, id: string): Promise<void> {
  const { frames } = await run(served, id)
  expect(said(frames)).toBe('Here I am')
  expect(frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
}

const fine = says('Here ', 'I am')

describe('A client sees', () => {
  test('that a key is missing, and which', async () => {
    await using house = await House.open({ files: { it: openai() } })
    const { id, frames } = await run(house)
    expect(await checkFailure(house, id, frames, 'model_error')).toContain('OPENAI_API_KEY')
  })

  test.each([
    ['that the key is wrong', [fails(401)], 'model_error'],
    ['that the provider limits the rate', [fails(429, { 'retry-after': '70' })], 'rate_limited'],
    ['that the request is too large', [fails(413)], 'request_too_large'],
    ['that the provider failed three times', [fails(500), fails(503), fails(500)], 'model_error'],
  ] as const)('%s, in a session that goes on', async (_, answers, code) => {
    await using upstream = await startUpstream(...answers, fine)
    await using house = await House.open({ files: { it: openai(upstream.url) }, variables })
    const { id, frames } = await run(house)
    await checkFailure(house, id, frames, code)
    expect(upstream.calls).toHaveLength(answers.length)
    expect(frames.some(({ event }) => event.type === 'agent_choice')).toBe(false)
    await checkUsable(house, id)
  })

  test('nothing of a provider that fails twice and then answers', async () => {
    await using upstream = await startUpstream(fails(500), fails(502), fine)
    await using house = await House.open({ files: { it: openai(upstream.url) }, variables })
    await checkUsable(house, await createSession(house.client, { title: 'A title' }))
    expect(upstream.calls).toHaveLength(3)
  })

  test('which model stepped in after a 429, and that it stays for the next run', async () => {
    await using limited = await startUpstream(fails(429, { 'retry-after': '7' }))
    await using other = await startUpstream(fine)
    const model = (name: string, url: string) => ({ provider: 'openai', model: name, base_url: url })
    const it = JSON.stringify({
      models: { first: model('gpt-4o', limited.url), second: model('gpt-4o-mini', other.url) },
      agents: { root: { model: 'first', fallback: { models: ['second'] } } },
    })
    await using house = await House.open({ files: { it }, variables })
    const { id, frames } = await run(house)
    expect(frames.filter(({ event }) => event.type === 'model_fallback').map(({ event }) => event)).toMatchObject([
      { session_id: id, failed_model: 'openai/gpt-4o', fallback_model: 'openai/gpt-4o-mini', attempt: 1 },
    ])
    expect(said(frames)).toBe('Here I am')
    const { messages } = await snapshotOf(house.client, id)
    expect(messages?.at(-1)?.message).toMatchObject({ model: 'openai/gpt-4o-mini' })
    await checkUsable(house, id)
    expect([limited.calls.length, other.calls.length]).toEqual([1, 2])
  })

  test('what had come of an answer that is cut half-way, and keeps it', async () => {
    await using upstream = await startUpstream(breaks('Half an ', 'ans'), fine)
    await using house = await House.open({ files: { it: openai(upstream.url) }, variables })
    const { id, frames } = await run(house)
    await checkFailure(house, id, frames, 'model_error')
    expect(said(frames)).toBe('Half an ans')
    // It was seen, so it is not asked for again.
    expect(upstream.calls).toHaveLength(1)
    const { messages } = await snapshotOf(house.client, id)
    expect(messages?.at(-1)?.message).toMatchObject({ content: 'Half an ans', finish_reason: 'interrupted' })
    await checkUsable(house, id)
  })

  test('that a provider has fallen silent', async () => {
    await using upstream = await startUpstream(hangs('Well, '), fine)
    const file = join(tempDir(), 'it.yaml')
    writeFileSync(file, openai(upstream.url))
    await using sources = closing(await sourceLoader({ source: file, env: {} }))
    const models = createModels({ env: variables, idleTimeoutMs: 2000 })
    await using server = await managedServer(createAgents({ sources, models }))
    const { id, frames } = await run(server)
    expect(await checkFailure(server, id, frames, 'model_error')).toMatch(/\S/)
    expect(said(frames)).toBe('Well, ')
    await upstream.left
    await checkUsable(server, id)
  })
})

/** Two models to choose from. */
const choice = JSON.stringify({
  models: Object.fromEntries(
    ['fast', 'clever'].map((model) => [
      model,
      { provider: 'scripted', model, provider_opts: { script: [[{ text: `I am ${model}` }]] } },
    ]),
  ),
  agents: { root: { model: 'fast', instruction: 'Answer.' } },
})

describe('A model that a run names', () => {
  /** Runs once more and says what the model that answered said. */
  const say = async ({ client }: House, id: string, more: object = {}) => {
    const body = { messages: [user('who')], ...more }
    expect((await client.call('streamRun', { params: { id, agent: 'it' }, body })).status).toBe(200)
    return (await snapshotOf(client, id)).messages?.at(-1)?.message.content
  }
  const modelsOf = async ({ client }: House, id: string) =>
    SessionModels.parse((await client.call('listModels', { params: { id } })).body)

  test('is that of the session from then on, also after a restart', async () => {
    await using house = await House.open({ files: { it: choice } })
    const id = await createSession(house.client)
    expect(await house.client.call('listModels', { params: { id } })).toMatchObject({ code: 'session_not_running' })
    expect(await say(house, id)).toBe('I am fast')
    expect(await modelsOf(house, id)).toMatchObject({ agent: 'root', current_model_ref: 'fast' })
    expect(await say(house, id, { model: 'clever' })).toBe('I am clever')
    expect(await say(house, id, { model: '' })).toBe('I am clever')
    await house.restart()
    expect(await say(house, id)).toBe('I am clever')
    const { models, current_model_ref } = await modelsOf(house, id)
    expect(current_model_ref).toBe('clever')
    expect(models).toMatchObject([
      { ref: 'fast', is_default: true },
      { ref: 'clever', is_current: true },
    ])
    expect(models.filter(({ is_current }) => is_current)).toHaveLength(1)
  })

  test('may be several that take turns, which count as one choice', async () => {
    await using house = await House.open({ files: { it: choice } })
    const id = await createSession(house.client)
    const both = [await say(house, id, { model: 'fast,clever' }), await say(house, id), await say(house, id)]
    expect(both).toEqual(['I am fast', 'I am clever', 'I am fast'])
    const { models, current_model_ref } = await modelsOf(house, id)
    expect(current_model_ref).toBe('fast,clever')
    expect(models.map(({ ref }) => ref)).toEqual(['fast', 'clever', 'fast,clever'])
    await say(house, id, { model: 'scripted/one' })
    await say(house, id, { model: 'scripted/two' })
    const refs = (await modelsOf(house, id)).models.filter(({ is_custom }) => is_custom).map(({ ref }) => ref)
    expect(refs).toEqual(['scripted/one', 'scripted/two'])
  })

  test('is appended to the choices when it is none of the file, and refused when it is none at all', async () => {
    await using house = await House.open({ files: { it: choice } })
    const id = await createSession(house.client)
    await say(house, id)
    const refused = { params: { id, agent: 'it' }, body: { messages: [user('who')], model: 'nobody' } }
    expect(await house.client.call('streamRun', refused)).toMatchObject({ status: 422, code: 'invalid_model' })
    expect((await modelsOf(house, id)).current_model_ref).toBe('fast')
    await say(house, id, { model: 'scripted/other' })
    const { models } = await modelsOf(house, id)
    expect(models.at(-1)).toMatchObject({ ref: 'scripted/other', is_custom: true, is_current: true })
    expect(models.filter(({ is_current }) => is_current)).toHaveLength(1)
    const { messages } = await snapshotOf(house.client, id)
    expect(messages?.filter(({ message }) => message.role === 'user')).toHaveLength(2)
  })
})

describe('A title', () => {
  const titlesIn = (frames: readonly Frame[]) =>
    frames.flatMap(({ event }) => (event.type === 'session_title' ? [event.title] : []))

  test('is made in the first run and told again in the others', async () => {
    await using house = await House.open({ files: { it: scripted([{ text: 'Yes' }]) } })
    const id = await createSession(house.client)
    const first = await run(house, id)
    expect(titlesIn(first.frames)).toEqual(['hello'])
    expect(await snapshotOf(house.client, id)).toMatchObject({ title: 'hello' })
    const second = await run(house, id)
    expect(second.frames[0]?.event).toMatchObject({ type: 'session_title', title: 'hello' })
    expect(titlesIn(second.frames)).toEqual(['hello'])
  })

  test('that cannot be made harms nobody, and is tried again in the next run', async () => {
    await using upstream = await startUpstream(fails(500), says('A name'))
    const models = {
      it: { provider: 'scripted', model: 'it', title_model: 'named', provider_opts: { script: [[{ text: 'Yes' }]] } },
      named: { provider: 'openai', model: 'gpt-4o', base_url: upstream.url },
    }
    const it = JSON.stringify({ models, agents: { root: { model: 'it', instruction: 'Answer.' } } })
    await using house = await House.open({ files: { it }, variables })
    const { id, frames } = await run(house, await createSession(house.client))
    expect(titlesIn(frames)).toEqual([])
    expect(frames.at(-1)?.event).toMatchObject({ reason: 'normal' })
    expect(titlesIn((await run(house, id)).frames)).toEqual(['A name'])
    expect(await snapshotOf(house.client, id)).toMatchObject({ title: 'A name' })
  })
})

function closing<T extends { close(): unknown }>(thing: T): T & AsyncDisposable {
  return Object.assign(thing, { [Symbol.asyncDispose]: async () => void (await thing.close()) })
}
