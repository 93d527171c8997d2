import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { anthropicGist, type Gist, googleGist, openaiGist } from '../models/gist.ts'
import { cassette, recordings, replayServer } from '../models/replay-server.ts'
import { wrongInRequest } from '../models/request-schema.ts'
import { tempDir } from '../store/temp-dir.ts'
import { createSession, House, snapshotOf } from './house.ts'
import { readRun, said } from './resuming-reader.ts'

const there = existsSync(recordings)
const title = there ? 'Recorded traffic with tools' : 'Recorded traffic with tools (skipped: ../shared is not there)'

const variables = { OPENAI_API_KEY: 'k', ANTHROPIC_API_KEY: 'k', GOOGLE_API_KEY: 'k' }

/** What means something: not the order of the tools, nor the line break at the end of a text. */
function meaning({ tools, said, ...gist }: Gist): Gist {
  return { ...gist, said: said.map((words) => words.map((word) => word.trimEnd())), tools: tools.toSorted() }
}

describe.skipIf(!there)(title, () => {
  test.each([
    ['openai', 'openai-chat', 'gpt-4o', '/v1', openaiGist],
    ['anthropic', 'anthropic', 'claude-sonnet-4-0', '', anthropicGist],
    ['google', 'google', 'gemini-2.5-flash', '', googleGist],
  ] as const)(
    'of %s drives a run that lists a directory, and is asked the same as then',
    async (provider, api, model, path, gist) => {
      const recorded = cassette(`exec-${provider === 'google' ? 'gemini' : provider}-toolcall.yaml`)
      const [instruction, ofTools, question = ''] = gist(recorded[0]?.sent).said.map(([, text]) => text)
      await using upstream = await replayServer(recorded)
      const it = JSON.stringify({
        models: { it: { provider, model, base_url: `${upstream.url}${path}` } },
        agents: { root: { model: 'it', instruction, toolsets: [{ type: 'filesystem', instruction: ofTools }] } },
      })
      const working_dir = tempDir()
      mkdirSync(join(working_dir, 'testdata/working_dir'), { recursive: true })
      writeFileSync(join(working_dir, 'testdata/working_dir/README.me'), 'Read me.\n')
      await using house = await House.open({ files: { it }, variables })
      const id = await createSession(house.client, { title: 'A title', safety_policy: 'balanced', working_dir })
      const { frames } = await readRun(house.url, id, { agent: 'it', text: question, cuts: [] })

      expect(said(frames)).toBe('1')
      expect(frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
      expect(upstream.received).toHaveLength(2)
      for (const [turn, body] of upstream.received.entries()) {
        expect(wrongInRequest(api, body)).toEqual([])
        expect(meaning(gist(body))).toEqual(meaning(gist(recorded[turn]?.sent)))
      }
      const { messages } = await snapshotOf(house.client, id)
      expect(messages?.map(({ message }) => message.role)).toEqual(['user', 'assistant', 'tool', 'assistant'])
    },
  )
})
