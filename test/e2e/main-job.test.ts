import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Run, type Snapshot } from '../../src/protocol/protocol.ts'
import { cassette, recordings } from '../models/replay-server.ts'
import { createSession, House, snapshotOf } from './house.ts'
import { asksForTitle, type RecordedProvider, recordedProvider } from './recorded-provider.ts'
import { idsOf, idsUpTo, type Reading, readEvents, readRun, said } from './resuming-reader.ts'

const places = {
  agents: new URL('../../../shared/data/agents/', import.meta.url),
  examples: new URL('../../examples/', import.meta.url),
}
const there = existsSync(places.agents) && existsSync(recordings)
const title = there ? 'The main job' : 'The main job (skipped: ../shared/data is not there)'
const asked = "What's 2+2?"

interface Job {
  /** The agent file, and the provider whose address it gets. */
  readonly from: 'agents' | 'examples'
  readonly file: string
  readonly provider: string
  readonly path: string
  readonly turn: string
  readonly title: readonly [cassette: string, interaction: number]
  readonly answer: string
  readonly titled: string
  readonly usage: readonly [input: number, output: number]
  readonly model: string
  /** USD, from the price list: of the answer and of the title. */
  readonly cost: number
}

const anthropic = {
  provider: 'anthropic',
  path: '/v1/messages',
  turn: 'exec-anthropic.yaml',
  title: ['debug-title-anthropic.yaml', 0],
  answer: '2 + 2 = 4',
  titled: 'AI Assistant Capabilities Overview',
  usage: [42, 13],
} as const
const chat = {
  path: '/v1/chat/completions',
  title: ['runtime-openai-basic.yaml', 1],
  titled: 'Simple Math: Addition of 2 and 2',
} as const

const jobs: readonly Job[] = [
  {
    ...anthropic,
    from: 'agents',
    file: 'echo-agent.yaml',
    model: 'anthropic/claude-sonnet-4-6',
    cost: ((42 + 142) * 3 + (13 + 8) * 15) / 1e6,
  },
  {
    ...anthropic,
    from: 'agents',
    file: 'silvia.yaml',
    model: 'anthropic/claude-3-7-sonnet-latest',
    cost: ((42 + 142) * 3 + (13 + 8) * 15) / 1e6,
  },
  {
    ...anthropic,
    from: 'agents',
    file: 'contradict.yaml',
    model: 'anthropic/claude-haiku-4-5',
    cost: ((42 + 142) * 1 + (13 + 8) * 5) / 1e6,
  },
  {
    ...anthropic,
    from: 'examples',
    file: 'anthropic.yaml',
    model: 'anthropic/claude-sonnet-4-5',
    cost: ((42 + 142) * 3 + (13 + 8) * 15) / 1e6,
  },
  {
    ...chat,
    from: 'examples',
    file: 'openai.yaml',
    provider: 'openai',
    turn: 'exec-openai.yaml',
    answer: '2 + 2 equals 4.',
    usage: [41, 8],
    model: 'openai/gpt-5-mini',
    cost: ((41 + 100) * 0.25 + (8 + 10) * 2) / 1e6,
  },
  {
    from: 'examples',
    file: 'google.yaml',
    provider: 'google',
    path: '/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse',
    turn: 'exec-gemini.yaml',
    title: ['exec-gemini.yaml', 0],
    answer: '2 + 2 = 4',
    titled: '2 + 2 = 4',
    usage: [35, 38],
    model: 'google/gemini-2.5-flash',
    cost: (2 * (35 * 0.3 + 38 * 2.5)) / 1e6,
  },
  {
    ...chat,
    from: 'examples',
    file: 'openai-compatible.yaml',
    provider: 'mine',
    turn: 'exec-mistral.yaml',
    answer: 'The sum of 2 + 2 is 4.',
    usage: [35, 13],
    model: 'mine/my-model',
    cost: 0,
  },
]

/** An agent file as it stands, with another address for its provider. */
function addressed({ from, file, provider }: Job, url: string): string {
  const text = readFileSync(new URL(file, places[from]), 'utf8')
  if (text.includes('base_url: http')) return text.replace(/base_url: http\S+/, `base_url: ${url}/v1`)
  const version = ['anthropic', 'google'].includes(provider) ? '' : '/v1'
  return `${text}\nproviders:\n  ${provider}:\n    base_url: ${url}${version}\n`
}

function recorded(name: string, interaction: number): string {
  const found = cassette(name)[interaction]
  if (found === undefined) throw new Error(`${name} has no interaction ${interaction}`)
  return found.body
}

const cuts = fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1, maxLength: 4 })

describe.skipIf(!there)(title, () => {
  test.each(jobs)('is done with $from/$file, by a client that is cut off and resumes', async (job) => {
    const bodies = { turn: recorded(job.turn, 0), title: recorded(...job.title) }
    await using provider = await recordedProvider(bodies)
    const variables = { ANTHROPIC_API_KEY: 'k', OPENAI_API_KEY: 'k', GOOGLE_API_KEY: 'k', MY_API_KEY: 'k' }
    await using house = await House.open({ files: { it: addressed(job, provider.url) }, variables })
    const readings = new Map<string, Reading>()
    const before = new Map<string, Snapshot>()
    await fc.assert(
      fc.asyncProperty(cuts, async (bytes) => {
        const id = await createSession(house.client)
        const reading = await readRun(house.url, id, { agent: 'it', text: asked, cuts: bytes })
        readings.set(id, reading)
        before.set(id, await checkSession(house, id, job, reading))
      }),
      { numRuns: 3, endOnFailure: true },
    )
    checkProvider(provider, job)
    await house.restart()
    for (const [id, reading] of readings) {
      expect(await snapshotOf(house.client, id)).toEqual(before.get(id))
      await checkSession(house, id, job, reading)
    }
  })
})

const Runs = z.array(Run)

/** What the client has read, what the session has become, and what its log says: all one story. */
async function checkSession(house: House, id: string, job: Job, reading: Reading): Promise<Snapshot> {
  const { client } = house
  expect(idsOf(reading.frames)).toEqual(idsUpTo(reading.frames.length))
  expect(said(reading.frames)).toBe(job.answer)
  expect(reading.frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
  expect((await readEvents(house.url, id)).text).toBe(reading.text)

  const snapshot = await snapshotOf(client, id)
  const [input, output] = job.usage
  expect(snapshot).toMatchObject({ title: job.titled, streaming: false, input_tokens: input, output_tokens: output })
  expect(snapshot.last_event_seq).toBe(reading.frames.length)
  expect(snapshot.cost).toBeCloseTo(job.cost, 10)
  expect(snapshot.messages?.map(({ message }) => [message.role, message.content])).toEqual([
    ['user', asked],
    ['assistant', job.answer],
  ])
  expect(snapshot.messages?.[1]?.message).toMatchObject({
    model: job.model,
    finish_reason: 'stop',
    usage: { input_tokens: input, output_tokens: output },
  })
  const [only, ...others] = Runs.parse((await client.call('listRuns', { params: { id } })).body)
  expect(others).toEqual([])
  expect(only).toMatchObject({ status: 'completed', reason: 'normal', first_seq: 1, last_seq: reading.frames.length })
  return snapshot
}

/** Every run asked for one answer and one title, and nothing was asked twice because a reader was cut off. */
function checkProvider({ received }: RecordedProvider, job: Job): void {
  expect(received.map(({ path }) => path)).toEqual(Array.from({ length: 6 }, () => job.path))
  expect(received.filter(({ body }) => asksForTitle(body))).toHaveLength(3)
  expect(received.every(({ body }) => body.includes(asked))).toBe(true)
}
