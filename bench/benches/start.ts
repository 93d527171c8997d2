import { setTimeout as wait } from 'node:timers/promises'
import { type Bench, inPairs, type Workbench } from '../bench.ts'
import { House } from '../house.ts'
import { Role } from '../role.ts'
import { silent } from '../silent-agent.ts'

/** Milliseconds after which a process that does nothing is idle. */
const rest = 500
const count = 5

/** From the start of a process to its first answer, and its memory once it does nothing. */
export const start: Bench = {
  name: 'start',
  run: async (workbench) => {
    const memory = { ours: [0], reference: [0] }
    const measure = (open: Open, bytes: number[]) => async () => {
      await using stage = workbench.stage.use(new AsyncDisposableStack())
      const began = performance.now()
      const role = await open({ ...workbench, stage })
      await (await fetch(`${await role.url}/health`)).text()
      const took = performance.now() - began
      await wait(rest)
      bytes.push((await role.memory()) / 2 ** 20)
      return took
    }
    const unit = 'ms'
    const reference = 'a node:http server'
    const pairs = await inPairs(workbench, {
      count,
      unit,
      ours: measure(async (bench) => (await House.open(bench, { agent: silent })).role, memory.ours),
      reference: measure(async ({ stage }) => stage.use(new Role('bench/roles/plain-server.ts')), memory.reference),
    })
    // Without the warm-up.
    const weights = memory.ours.slice(-count).map((ours, at) => {
      return { ours, reference: memory.reference.slice(-count)[at] ?? Number.NaN }
    })
    return [
      {
        subject: 'start to first answer',
        reference,
        unit,
        pairs,
        goal: { bound: 'at most', goal: 4.5, stretch: 3 },
      },
      {
        subject: 'memory when idle',
        reference,
        unit: 'MiB',
        pairs: weights,
        goal: { bound: 'at most', goal: 2, stretch: 1.5 },
      },
    ]
  },
}

type Open = (workbench: Workbench) => Promise<Role>
