import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { type Bench, inPairs } from '../bench.ts'
import { House } from '../house.ts'
import { Role } from '../role.ts'
import { Tail } from '../tail.ts'

const readers = 1000

/** Milliseconds between two events: slow enough that even a busy machine gives each its own tick. */
const every = 50

/** Milliseconds until everything flows, and those that are measured. */
const settling = 500
const window = 2000

/** Processor time to deliver one event to one of many tails, beside a Buffer that is only written to their sockets. */
export const fanOut: Bench = {
  name: 'fan-out',
  run: async (workbench) => {
    const { stage } = workbench
    const house = await House.open(workbench, { agent })
    const broadcaster = stage.use(new Role('bench/roles/broadcaster.ts'))
    const crowd = stage.use(new Role('bench/roles/crowd.ts'))
    const frame = await sampleFrame(house)
    const url = await broadcaster.url
    const unit = 'µs'
    const pairs = await inPairs(workbench, {
      count: 5,
      unit,
      ours: async () => {
        const id = await house.createSession()
        const path = `/api/sessions/${id}/events?since=0`
        await crowd.ask('gather', z.unknown(), { url: house.url, path, readers })
        await run(house, id)
        const figure = await perDelivery(house.role, crowd)
        await (await house.post(`/api/sessions/${id}/cancel`, {})).text()
        await crowd.ask('leave', z.unknown())
        return figure
      },
      reference: async () => {
        await crowd.ask('gather', z.unknown(), { url, path: '/', readers })
        await broadcaster.ask('start', z.unknown(), { frame, every })
        const figure = await perDelivery(broadcaster, crowd)
        await broadcaster.ask('stop', z.unknown())
        await crowd.ask('leave', z.unknown())
        return figure
      },
    })
    return [
      {
        subject: `CPU per delivery, ${readers} readers, ${1000 / every} events/s`,
        reference: 'a framed Buffer to each socket',
        unit,
        pairs,
        goal: { bound: 'at most', goal: 1.25, stretch: 1.1 },
      },
    ]
  },
}

async function perDelivery(subject: Role, crowd: Role): Promise<number> {
  await wait(settling)
  const from = await sample(subject, crowd)
  await wait(window)
  const to = await sample(subject, crowd)
  return (to.cpu - from.cpu) / (to.deliveries - from.deliveries)
}

async function sample(subject: Role, crowd: Role): Promise<{ readonly cpu: number; readonly deliveries: number }> {
  const [cpu, deliveries] = await Promise.all([subject.cpu(), crowd.ask('deliveries', z.number())])
  return { cpu, deliveries }
}

async function run(house: House, id: string): Promise<void> {
  await (await house.post(`/api/sessions/${id}/runs`, { agent: 'agent', messages: [{ content: 'Count.' }] })).text()
}

/** An event as the reference is to deliver it: of the same length as ours. */
async function sampleFrame(house: House): Promise<string> {
  const id = await house.createSession()
  await run(house, id)
  await using tail = await Tail.open(house.url, id)
  const text = await tail.until((seen) => pattern.test(seen))
  await (await house.post(`/api/sessions/${id}/cancel`, {})).text()
  return pattern.exec(text)?.[0] ?? ''
}

const pattern = /id: \d+\ndata: {"type":"agent_choice".*\n\n/

const agent = {
  models: {
    counting: {
      provider: 'scripted',
      model: 'counting',
      provider_opts: { script: [[{ text: 'tick '.repeat(2000), every: `${every}ms` }]] },
    },
  },
  agents: { root: { model: 'counting', description: 'Counts', instruction: 'Count.' } },
}
