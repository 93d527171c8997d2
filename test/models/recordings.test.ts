import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { createModels, type ModelDefinition } from '../../src/models/models.ts'
import type { ChatMessage, Tool, Usage } from '../../src/protocol/protocol.ts'
import { collect, stored, turn } from './collect.ts'
import { anthropicGist, googleGist, openaiGist } from './gist.ts'
import { cassette, recordings, replayServer } from './replay-server.ts'
import { wrongInRequest } from './request-schema.ts'

const there = existsSync(recordings)
const title = there ? 'recorded provider traffic' : 'recorded provider traffic (skipped: ../shared is not there)'

const instructions =
  'You are a knowledgeable assistant that helps users with various tasks.\nBe helpful, accurate, and concise in your responses.\n'
const filesystem = `## Filesystem Tools

- Relative paths resolve from the working directory; absolute paths and ".." work as expected
- Prefer read_multiple_files over sequential read_file calls
- Use search_files_content to locate code or text across files
- Use exclude patterns in searches and max_depth in directory_tree to limit output`

const system = (content: string): ChatMessage => ({ role: 'system', content })
const question = (content: string): ChatMessage => ({ role: 'user', content })

function usage(input: number, output: number, read = 0, written = 0): Usage {
  return { input_tokens: input, output_tokens: output, cached_input_tokens: read, cached_write_tokens: written }
}

const openai = { provider: 'openai', model: 'gpt-4o' }
const gpt35 = { provider: 'openai', model: 'gpt-3.5-turbo' }
const anthropic = { provider: 'anthropic', model: 'claude-sonnet-4-0' }
const google = { provider: 'google', model: 'gemini-2.5-flash' }
const mistral = { provider: 'mistral', model: 'mistral-small' }
const env = { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', GOOGLE_API_KEY: 'k', MISTRAL_API_KEY: 'k' }

async function opened(definition: ModelDefinition, url: string) {
  const baseUrl = ['openai', 'mistral'].includes(definition.provider) ? `${url}/v1` : url
  return createModels({ env }).open({ ...definition, base_url: baseUrl })
}

describe.skipIf(!there)(title, () => {
  test.each([
    ['exec-openai.yaml', 'openai-chat', gpt35, openaiGist, '2 + 2 equals 4.', usage(41, 8)],
    ['runtime-openai-basic.yaml', 'openai-chat', gpt35, openaiGist, '2 + 2 equals 4.', usage(41, 8)],
    ['exec-anthropic.yaml', 'anthropic', anthropic, anthropicGist, '2 + 2 = 4', usage(42, 13)],
    ['exec-gemini.yaml', 'google', google, googleGist, '2 + 2 = 4', { ...usage(35, 38), reasoning_tokens: 31 }],
    ['exec-mistral.yaml', 'mistral', mistral, openaiGist, 'The sum of 2 + 2 is 4.', usage(35, 13)],
  ] as const)('gives back the text and usage of %s', async (name, api, definition, gist, text, counted) => {
    const [recorded] = cassette(name)
    if (!recorded) throw new Error('the cassette is empty')
    await using server = await replayServer([recorded])
    const model = await opened(definition, server.url)
    const answer = await collect(model, turn([system(instructions), question("What's 2+2?")]))
    expect(answer.text).toBe(text)
    expect(answer.finish).toMatchObject({ finish_reason: 'stop', usage: counted, tool_calls: [] })
    expect(gist(server.received[0])).toEqual(gist(recorded.sent))
    expect(wrongInRequest(api, server.received[0])).toEqual([])
  })

  test.each([
    ['exec-openai-toolcall.yaml', 'openai-chat', openai, openaiGist, usage(785, 18)],
    ['exec-anthropic-toolcall.yaml', 'anthropic', anthropic, anthropicGist, usage(3, 58, 0, 1276)],
    ['exec-gemini-toolcall.yaml', 'google', google, googleGist, usage(868, 20)],
  ] as const)('streams the tool call of %s and sends its result back', async (name, api, definition, gist, counted) => {
    const [first, second] = cassette(name)
    if (!first || !second) throw new Error('the cassette is too short')
    await using server = await replayServer([first, second])
    const model = await opened(definition, server.url)
    const tools = gist(first.sent).tools.map((tool): Tool => {
      return { name: tool, category: 'filesystem', parameters: null, annotations: {}, outputSchema: null }
    })
    const asked = 'How many files in testdata/working_dir? Only output the number.'
    const messages = [system(instructions), system(filesystem), question(asked)]

    const call = await collect(model, turn(messages, { tools }))
    const [made] = call.finish.tool_calls
    expect(call.finish).toMatchObject({ finish_reason: 'tool_calls', usage: counted })
    expect(call.finish.cost).toBeGreaterThan(0)
    expect(made?.function.name).toBe('list_directory')
    expect(JSON.parse(made?.function.arguments ?? '')).toEqual({ path: 'testdata/working_dir' })
    expect(call.streamed).toEqual({ [made?.id ?? '']: made?.function })
    expect(gist(server.received[0])).toEqual(gist(first.sent))

    const result: ChatMessage = { role: 'tool', content: 'FILE README.me\n', tool_call_id: made?.id ?? '' }
    const answer = await collect(model, turn([...messages, stored(model, call), result], { tools }))
    expect(answer.text).toBe('1')
    expect(gist(server.received[1])).toEqual(gist(second.sent))
    expect(server.received.map((body) => wrongInRequest(api, body))).toEqual([[], []])
  })
})
