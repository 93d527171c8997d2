import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LLMock } from '@copilotkit/aimock'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { anthropicGist, type Gist, googleGist, openaiGist, responsesGist } from '../models/gist.ts'
import { type RecordingProxy, recordingProxy } from '../models/recording-proxy.ts'
import { type Api, wrongInRequest } from '../models/request-schema.ts'
import { tempDir } from '../store/temp-dir.ts'
import { createSession, House, snapshotOf } from './house.ts'
import { readRun, said } from './resuming-reader.ts'

type Kind = {
  readonly api: Api
  readonly model: { readonly provider: string; readonly model: string; readonly provider_opts?: object }
  readonly base: string
  readonly path: string
  readonly gist: (body: unknown) => Gist
  /** Who says what the model said, and who the results, on this wire. */
  readonly model_role: string
  readonly result: (text: string) => readonly string[]
}

const asTool = (text: string) => ['tool', text]
const asResult = (text: string) => ['user', 'result', text]

const kinds: readonly Kind[] = [
  {
    api: 'openai-responses',
    model: { provider: 'openai', model: 'gpt-5', provider_opts: { api_type: 'openai_responses' } },
    base: '/v1',
    path: '/v1/responses',
    gist: responsesGist,
    model_role: 'assistant',
    result: asTool,
  },
  {
    api: 'mistral',
    model: { provider: 'mistral', model: 'mistral-small' },
    base: '/v1',
    path: '/v1/chat/completions',
    gist: openaiGist,
    model_role: 'assistant',
    result: asTool,
  },
  {
    api: 'openai-chat',
    model: { provider: 'openai', model: 'gpt-4o' },
    base: '/v1',
    path: '/v1/chat/completions',
    gist: openaiGist,
    model_role: 'assistant',
    result: asTool,
  },
  {
    api: 'anthropic',
    model: { provider: 'anthropic', model: 'claude-sonnet-4-5' },
    base: '',
    path: '/v1/messages',
    gist: anthropicGist,
    model_role: 'assistant',
    result: asResult,
  },
  {
    api: 'google',
    model: { provider: 'google', model: 'gemini-2.5-flash' },
    base: '',
    path: '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    gist: googleGist,
    model_role: 'model',
    result: asResult,
  },
]

const mock = new LLMock({ port: 0, logLevel: 'silent' })
let proxy: RecordingProxy

beforeAll(async () => {
  await mock.start()
  const list = { name: 'list_directory', arguments: '{"path":"notes"}', id: 'abcdefgh1' }
  const shout = { name: 'shout', arguments: '{"word":"hello"}', id: 'abcdefgh2' }
  const missing = { name: 'read_file', arguments: '{"path":"notes/none.txt"}', id: 'abcdefgh3' }
  const again = { name: 'shout', arguments: '{"word":"again"}', id: 'abcdefgh4' }
  mock.on({ userMessage: 'thanks' }, { content: 'You are welcome.' })
  mock.on(after(0), { content: 'I look.', reasoning: 'All at once.', toolCalls: [list, shout, missing] })
  mock.on(after(3), { toolCalls: [again] })
  mock.on(after(4), { content: 'One note, and HELLO AGAIN.' })
  proxy = await recordingProxy(mock.url)
})

afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await mock.stop()
})

/** Matches a request with so many results of tools. */
function after(count: number): Parameters<LLMock['on']>[0] {
  return { predicate: ({ messages }) => messages.filter(({ role }) => role === 'tool').length === count }
}

/** An agent that lists files and has a script of its own. */
function agentOn({ model, base }: Kind): string {
  const script = {
    type: 'script',
    shell: {
      shout: {
        cmd: 'echo "$word" | tr a-z A-Z',
        description: 'Shouts a word.',
        args: { word: { type: 'string', description: 'The word.' } },
        required: ['word'],
      },
    },
  }
  return JSON.stringify({
    models: { it: { ...model, base_url: proxy.url + base } },
    agents: { root: { model: 'it', instruction: 'Be brief.', toolsets: [{ type: 'filesystem' }, script] } },
  })
}

/** Without line breaks at the ends, and without what a model has thought, which the gist of Anthropic tells as no text. */
function meant(said: Gist['said']): Gist['said'] {
  const trimmed = said.map((words) => words.map((word) => word.trim()))
  return trimmed.filter(([, ...words]) => words.some((word) => word !== ''))
}

function workingDir(): string {
  const path = tempDir()
  mkdirSync(join(path, 'notes'))
  writeFileSync(join(path, 'notes/first.txt'), 'The first note.\n')
  return path
}

const variables = { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', GOOGLE_API_KEY: 'k', MISTRAL_API_KEY: 'k' }

describe('A session', () => {
  test.each(kinds)('on $api calls tools in parallel, and sends what the provider wants', async (kind) => {
    const { api, gist, path, model_role: role, result } = kind
    await using house = await House.open({ files: { it: agentOn(kind) }, variables })
    const id = await createSession(house.client, {
      title: 'A title',
      safety_policy: 'autonomous',
      working_dir: workingDir(),
    })
    const before = proxy.passed.length
    const { frames } = await readRun(house.url, id, { agent: 'it', text: 'look', cuts: [] })
    expect(said(frames)).toBe('I look.One note, and HELLO AGAIN.')
    expect(frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
    const more = await readRun(house.url, id, { agent: 'it', text: 'thanks', cuts: [] })
    expect(said(more.frames)).toBe('You are welcome.')

    const { messages } = await snapshotOf(house.client, id)
    expect(messages?.map(({ message }) => message.role).join(' ')).toBe(
      'user assistant tool tool tool assistant tool assistant user assistant',
    )
    const results = (messages ?? []).flatMap(({ message }) => (message.role === 'tool' ? [message.content ?? ''] : []))
    expect(results).toEqual([
      expect.stringContaining('first.txt'),
      'HELLO\n',
      expect.stringMatching(/none\.txt/),
      'AGAIN\n',
    ])

    const passed = proxy.passed.slice(before)
    expect(passed.map((one) => one.path)).toEqual([path, path, path, path])
    expect(passed.map(({ body }) => wrongInRequest(api, body))).toEqual([[], [], [], []])
    const [listed = '', shouted = '', refused = '', again = ''] = results.map((text) => text.trim())
    const whole = [
      ['user', 'look'],
      [role, 'I look.'],
      [role, 'list_directory', '{"path":"notes"}'],
      [role, 'shout', '{"word":"hello"}'],
      [role, 'read_file', '{"path":"notes/none.txt"}'],
      result(listed),
      result(shouted),
      result(refused),
      [role, 'shout', '{"word":"again"}'],
      result(again),
      [role, 'One note, and HELLO AGAIN.'],
      ['user', 'thanks'],
    ]
    const heard = passed.map(({ body }) => gist(body))
    for (const { tools } of heard) expect(tools).toEqual(expect.arrayContaining(['list_directory', 'shout']))
    for (const [turn, length] of [1, 8, 10, 12].entries()) {
      const [first, ...words] = meant(heard[turn]?.said ?? [])
      expect(first?.[1]).toContain('Be brief.')
      expect(words.slice(-length)).toEqual(whole.slice(0, length))
    }
  })
})
