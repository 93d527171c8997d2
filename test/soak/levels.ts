import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Inspector } from './inspector.ts'

/** What must not grow, each in its unit. */
export interface Levels {
  /** Bytes of memory that the process has. */
  readonly rss: number
  /** Bytes that are reachable. */
  readonly heap: number
  /** Open handles of the event loop. */
  readonly handles: number
  /** Open file descriptors. */
  readonly files: number
  /** Bytes of the database and what lies beside it, on average. */
  readonly disk: number
}

export const names = ['rss', 'heap', 'handles', 'files', 'disk'] as const

/** How much a level may rise once it is warm. */
const tolerance = 1.05
/** Between two looks at the disk. */
const everyMs = 500

export async function measure(pid: number, disk: number, inspector: Inspector): Promise<Levels> {
  const { heap, handles } = await inspector.look()
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
  return { rss: Number(kilobytes) * 1024, heap, handles, files: readdirSync(`/proc/${pid}/fd`).length, disk }
}

/**
 * Bytes of the database and what lies beside it, on average until the signal. At a single moment they tell how long ago
 * retention has passed, and what the last visitors did: its hours are so short here that most of the file comes and goes.
 */
export async function averageDisk(folder: string, signal: AbortSignal): Promise<number> {
  let [sum, looks] = [0, 0]
  do {
    sum += diskOf(folder)
    looks += 1
    await delay(everyMs, undefined, { signal }).catch(() => {})
  } while (!signal.aborted)
  return sum / looks
}

function diskOf(folder: string): number {
  const database = readdirSync(folder).filter((name) => name.startsWith('quarterdeck.db'))
  return database.reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

export interface Rise {
  readonly name: (typeof names)[number]
  readonly from: number
  readonly to: number
  readonly held: boolean
}

/** How each level rose from the first to the last third of the samples: their medians, so that one odd sample does not count. */
export function rises(samples: readonly Levels[]): readonly Rise[] {
  const third = Math.max(1, Math.floor(samples.length / 3))
  return names.map((name) => {
    const from = median(samples.slice(0, third).map((sample) => sample[name]))
    const to = median(samples.slice(-third).map((sample) => sample[name]))
    return { name, from, to, held: to <= from * tolerance }
  })
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
