import { z } from 'zod'
import type { Random } from '../crash/random.ts'
import { agents } from './agents.ts'
import { Wire } from './wire.ts'

const Created = z.object({ id: z.string() })
const Snapshot = z.object({ next_since: z.number() })

/** How many of the visits are unlike the others. */
const share = { left: 0.2, long: 0.05 } as const

/** What visits came to. */
export interface Tally {
  visits: number
  runs: number
  approvals: number
  events: number
}

/**
 * One client's whole life with a session: it makes one, watches it, has it run, interferes, answers what it is asked, leaves
 * streams and comes back, and deletes it; now and then it stays long, or forgets a session for retention to find.
 */
export async function visit(url: string, random: Random, tally: Tally): Promise<void> {
  const wire = new Wire(url)
  try {
    const { text } = await wire.send('POST', '', { title: 'soak' }, keyFrom(random))
    const { id } = Created.parse(JSON.parse(text))
    if (random.chance(share.left)) return
    await Promise.all([watch(wire, id, random, tally), use(wire, id, random, tally)])
    tally.visits += 1
  } finally {
    wire.close()
  }
}

async function use(wire: Wire, id: string, random: Random, tally: Tally): Promise<void> {
  const most = random.chance(share.long) ? 30 : 3
  for (let left = random.between(1, most); left > 0; left -= 1) {
    await Promise.all([interfere(wire, id, random), run(wire, id, random, tally)])
  }
  await wire.send('GET', `/${id}/snapshot`)
  await wire.send('GET', `/${id}`)
  await wire.send('DELETE', `/${id}?wait=true`)
}

/** Tails the session until it is deleted, leaves now and then and begins anew, and answers approvals. */
async function watch(wire: Wire, id: string, random: Random, tally: Tally): Promise<void> {
  for (let isThere = true; isThere; ) {
    isThere = false
    let most = random.chance(0.3) ? random.between(5, 60) : Number.POSITIVE_INFINITY
    for await (const { type, request_id } of wire.events('GET', `/${id}/events`)) {
      isThere = type !== 'session_exited'
      tally.events += 1
      if (type === 'tool_call_confirmation' && request_id !== undefined)
        await decide(wire, id, request_id, random, tally)
      most -= 1
      if (most <= 0 || !isThere) break
    }
  }
}

async function decide(wire: Wire, id: string, requestId: string, random: Random, tally: Tally): Promise<void> {
  const confirmation = random.chance(0.8) ? 'approve' : 'reject'
  const { status } = await wire.send('POST', `/${id}/resume`, { confirmation, request_id: requestId })
  if (status === 200) tally.approvals += 1
}

/** A run whose stream is read to its end, or left, which cancels it. */
async function run(wire: Wire, id: string, random: Random, tally: Tally): Promise<void> {
  const agent = random.pick(agents)
  const messages = [{ content: `Ahoy ${random.between(1, 1000)}!` }]
  const most = random.chance(0.25) ? random.between(1, 30) : Number.POSITIVE_INFINITY
  let seen = 0
  for await (const _ of wire.events('POST', `/${id}/agent/${agent}`, { messages })) {
    seen += 1
    if (seen >= most) break
  }
  if (seen > 0) tally.runs += 1
  tally.events += seen
}

/** Says something while a run goes on, or stops it. */
async function interfere(wire: Wire, id: string, random: Random): Promise<void> {
  const messages = [{ content: 'By the way. '.repeat(random.between(1, 5)) }]
  for (const act of ['steer', 'followup']) {
    if (!random.chance(0.4)) continue
    const key = keyFrom(random)
    for (let times = random.between(1, 2); times > 0; times -= 1) {
      await wire.send('POST', `/${id}/${act}`, { messages }, key)
    }
  }
  if (random.chance(0.1)) await wire.send('POST', `/${id}/cancel`)
}

/** Watches all sessions until the signal, as a dashboard does: draws them, reads on, leaves and comes back where it was. */
export async function watchAll(url: string, random: Random, signal: AbortSignal): Promise<void> {
  const wire = new Wire(url)
  signal.addEventListener('abort', () => wire.close(), { once: true })
  try {
    const { text } = await wire.send('GET', '/events/snapshot?limit=20')
    let since = Snapshot.parse(JSON.parse(text)).next_since
    while (!signal.aborted) {
      let most = random.between(1, 200)
      for await (const _ of wire.events('GET', `/events?children=true&since=${since}`)) {
        since += 1
        most -= 1
        if (most <= 0) break
      }
    }
  } catch (failure) {
    if (!signal.aborted) throw failure
  } finally {
    wire.close()
  }
}

function keyFrom(random: Random): string {
  return `key-${random.next()}`
}
