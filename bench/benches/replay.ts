import { z } from 'zod'
import { type Bench, inPairs, type Workbench } from '../bench.ts'
import type { Comparison, Goal } from '../comparison.ts'
import { House } from '../house.ts'
import { Role } from '../role.ts'

/** Events of one measurement: as many replays as make them, one after the other. */
const total = 250_000

interface Case {
  readonly from: string
  readonly events: number
  /** Events of a session that the server keeps in memory. */
  readonly ring: number
  readonly goal: Goal
}

/** What is in memory ends at a megabyte, so the log that is replayed from there is shorter. */
const cases: readonly Case[] = [
  { from: 'memory', events: 2500, ring: 20_000, goal: { bound: 'at least', goal: 0.5, stretch: 0.8 } },
  { from: 'SQLite', events: 10_000, ring: 1, goal: { bound: 'at least', goal: 0.35, stretch: 0.8 } },
]

/** Events per second to a reader that begins at the beginning, beside frames in an array that are joined by 256. */
export const replay: Bench = {
  name: 'replay',
  run: async (workbench) => {
    const comparisons: Comparison[] = []
    for (const one of cases) comparisons.push(await compare(workbench, one))
    return comparisons
  },
}

async function compare(workbench: Workbench, { from, events, ring, goal }: Case): Promise<Comparison> {
  const { stage, tell } = workbench
  tell(`${events} events from ${from}`)
  const house = await House.open(workbench, { agent: agentOf(events), options: ['--ring-capacity', `${ring}`] })
  const array = stage.use(new Role('bench/roles/ring.ts'))
  const url = `${house.url}${await pathOfLog(house)}`
  const frames = (await (await fetch(url)).text()).split(/(?<=\n\n)/)
  await array.ask('fill', z.unknown(), frames)
  const perSecond = async (address: string): Promise<number> => {
    const began = performance.now()
    let read = 0
    for (; read < total; read += frames.length) await drain(address)
    return (1000 * read) / (performance.now() - began)
  }
  const reference = await array.url
  const unit = '/s'
  const pairs = await inPairs(workbench, {
    count: 7,
    unit,
    ours: () => perSecond(url),
    reference: () => perSecond(reference),
  })
  return { subject: `events replayed, ${events} from ${from}`, reference: 'joined by 256', unit, pairs, goal }
}

async function drain(url: string): Promise<void> {
  const { body } = await fetch(url)
  for await (const _ of body ?? []);
}

/** Runs an agent to its end, and answers where its events are. */
async function pathOfLog(house: House): Promise<string> {
  const id = await house.createSession()
  await (await house.post(`/api/sessions/${id}/agent/agent`, { messages: [{ content: 'Count.' }] })).text()
  return `/api/sessions/${id}/events?since=0&follow=false`
}

function agentOf(events: number): unknown {
  const script = [[{ text: 'tick '.repeat(events) }]]
  return {
    models: { counting: { provider: 'scripted', model: 'counting', provider_opts: { script } } },
    agents: { root: { model: 'counting', description: 'Counts', instruction: 'Count.' } },
  }
}
