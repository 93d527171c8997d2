import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { type Bench, inPairs } from '../bench.ts'
import { House } from '../house.ts'
import { Role } from '../role.ts'
import { Tail } from '../tail.ts'

const count = 50

/** Says who it is and who its child is, and waits for a child that takes longer than any bench. */
const line = 'sleep 600 & echo "hangs $$ $!"; wait'

const Outcome = z.object({ reason: z.string() })

/**
 * Time from the POST of a cancel to the `stream_stopped` of its run, as a tail sees it, while 50 shells with a child each
 * hang. All of them must be gone by then.
 */
export const cancelToStopped: Bench = {
  name: 'cancel-to-stopped',
  run: async (workbench) => {
    const { stage } = workbench
    const house = await House.open(workbench, { agent })
    const shells = stage.use(new Role('bench/roles/hanging-shells.ts'))
    const unit = 'ms'
    const pairs = await inPairs(workbench, {
      count: 5,
      unit,
      ours: () => cancel(house),
      reference: async () => {
        await shells.ask('start', z.unknown(), { line, count })
        return await shells.ask('end', z.number())
      },
    })
    return [
      {
        subject: `cancel to stream_stopped: ${count} hanging shells`,
        reference: 'the same shells killed from a bare process',
        unit,
        pairs,
      },
    ]
  },
}

/** Milliseconds. Rejects when the run ends for another reason or leaves a process behind. */
async function cancel(house: House): Promise<number> {
  const id = await house.createSession()
  await using tail = await Tail.open(house.url, id)
  await house.post(`/api/sessions/${id}/runs`, { agent: 'agent', messages: [{ content: 'Hang.' }] })
  const text = await tail.until((seen) => pidsIn(seen).length === 2 * count)
  const began = performance.now()
  const [answer, stopped] = await Promise.all([
    house.post(`/api/sessions/${id}/cancel`, {}),
    tail.until((seen) => /{"type":"stream_stopped".*\n\n/.test(seen)).then((seen) => ({ seen, at: performance.now() })),
  ])
  await answer.body?.cancel()
  const { reason } = Outcome.parse(JSON.parse(/{"type":"stream_stopped".*/.exec(stopped.seen)?.[0] ?? '{}'))
  if (reason !== 'canceled') throw new Error(`the run ended with ${reason}`)
  const left = pidsIn(text).filter(isAlive)
  if (left.length > 0) throw new Error(`${left.length} processes are left`)
  return stopped.at - began
}

/** What the shells said; the calls themselves hold no numbers. */
function pidsIn(text: string): readonly number[] {
  return [...text.matchAll(/hangs (\d+) (\d+)/g)].flatMap(([, shell, child]) => [Number(shell), Number(child)])
}

/** A process that nobody has collected yet is dead all the same. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    // A system without /proc, or a process that ended in this very moment.
    return process.platform !== 'linux'
  }
}

const agent = {
  models: {
    hanging: {
      provider: 'scripted',
      model: 'hanging',
      provider_opts: {
        script: [
          Array.from({ length: count }, () => ({
            tool_call: { name: 'shell', arguments: { cmd: line, timeout: 300 } },
          })),
        ],
      },
    },
  },
  permissions: { allow: ['shell'] },
  agents: {
    root: { model: 'hanging', description: 'Hangs', instruction: 'Hang.', toolsets: [{ type: 'shell' }] },
  },
}
