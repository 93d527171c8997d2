import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { type Bench, inPairs, type Workbench } from '../bench.ts'
import type { Comparison } from '../comparison.ts'
import { House } from '../house.ts'
import { Role } from '../role.ts'

/** Answers that come at once. */
const answers = 50

/** How fast each answer comes: as from most providers, and as from a fast one, with many tokens for each wake-up. */
const speeds = [50, 200] as const

/** Milliseconds until everything flows, and those that are measured. */
const settling = 800
const window = 2000

/**
 * Processor time per model token from the provider's socket to the reader's: run, journal on disk and SSE included, with
 * one reader for each run, beside a process that only reads the same answers.
 */
export const cpuPerToken: Bench = {
  name: 'cpu-per-token',
  run: async (workbench) => {
    const comparisons: Comparison[] = []
    for (const speed of speeds) comparisons.push(await compare(workbench, speed))
    return comparisons
  },
}

async function compare(workbench: Workbench, speed: number): Promise<Comparison> {
  const { stage, tell } = workbench
  tell(`${answers} answers of ${speed} tokens/s`)
  const upstream = stage.use(new Role('bench/roles/trickle.ts', [`${1000 / speed}`, `${answers}`]))
  const url = await upstream.url
  const reader = stage.use(new Role('bench/roles/token-reader.ts'))
  const house = await House.open(workbench, { agent: agentOf(url) })
  const unit = 'µs'
  const pairs = await inPairs(workbench, {
    count: 4,
    unit,
    ours: () => perToken(house.role, upstream, () => readRuns(house)),
    reference: () => perToken(reader, upstream, () => reader.ask('read', z.number(), { url, answers })),
  })
  return {
    subject: `CPU per model token: ${answers} runs of ${speed} tokens/s, durable, a reader each`,
    reference: 'fetch + eventsource-parser',
    unit,
    pairs,
    goal: { bound: 'at most', goal: 4, stretch: 2 },
  }
}

/** Microseconds per token while all answers flow. Rejects when a token did not arrive. */
async function perToken(subject: Role, upstream: Role, read: () => Promise<number>): Promise<number> {
  const reading = read()
  await wait(settling)
  const from = await sample(subject, upstream)
  await wait(window)
  const to = await sample(subject, upstream)
  const sent = await upstream.ask('finish', z.number())
  const received = await reading
  if (received !== sent) throw new Error(`${sent} tokens were sent, and ${received} arrived`)
  return (to.cpu - from.cpu) / (to.tokens - from.tokens)
}

async function sample(subject: Role, upstream: Role): Promise<{ readonly cpu: number; readonly tokens: number }> {
  const [cpu, tokens] = await Promise.all([subject.cpu(), upstream.ask('tokens', z.number())])
  return { cpu, tokens }
}

/** Starts runs in sessions of their own and reads their streams. Answers how many tokens came. */
async function readRuns(house: House): Promise<number> {
  const counts = Array.from({ length: answers }, async () => {
    const id = await house.createSession()
    const run = await house.post(`/api/sessions/${id}/agent/agent`, { messages: [{ content: 'Go on.' }] })
    return (await run.text()).split('{"type":"agent_choice"').length - 1
  })
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
}

function agentOf(url: string): unknown {
  return {
    providers: { trickle: { api_type: 'openai_chatcompletions', base_url: `${url}/v1` } },
    models: { trickle: { provider: 'trickle', model: 'trickle' } },
    agents: { root: { model: 'trickle', description: 'Answers without an end', instruction: 'Go on.' } },
  }
}
