import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { writeAgents } from '../agents.ts'
import { Load } from '../load.ts'
import { Random } from '../random.ts'
import { Witness } from '../witness.ts'
import { type Cut, check, checkAlone, lay } from './cut.ts'
import { Host } from './host.ts'
import { type End, live } from './life.ts'
import { Past } from './past.ts'
import { canTrace } from './trace.ts'

const cuts = Number(process.env.QUARTERDECK_POWER_CUTS ?? 200)
const seed = Number(process.env.QUARTERDECK_POWER_SEED ?? Date.now() % 1_000_000)
/** One cut in so many is checked on a process of its own. */
const wholeEvery = 20
/** Cuts that are checked while the next is made: a check mostly waits for runs that go on. */
const atOnce = 6

const why = canTrace() ? '' : ' (skipped: strace is missing or may not watch processes here)'

if (why !== '') console.log(`a power cut${why}`)

/** One process after the other on the same files; the second writes enough for its log to be moved while it works. */
const ends: readonly End[] = [
  { signal: 'SIGKILL', bytes: 1_500_000 },
  { signal: 'SIGKILL', bytes: 12_000_000 },
  { signal: 'SIGTERM', bytes: 1_500_000 },
]

describe.skipIf(why !== '')(`a power cut${why}`, () => {
  const random = new Random(seed)
  let folder: string
  let past: Past
  let isEvidence = false

  beforeAll(async () => {
    console.log(`QUARTERDECK_POWER_SEED=${seed}`)
    folder = mkdtempSync(join(tmpdir(), 'quarterdeck-power-'))
    writeAgents(join(folder, 'agents'))
    const lives = []
    const load = new Load(new Witness())
    for (const [index, end] of ends.entries())
      lives.push(await live({ folder, name: `life-${index}`, end, load, random }))
    past = new Past(folder, lives)
    console.log(`${past}`)
  })

  /** The files of a test that fails stay: they are evidence. */
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') isEvidence = true
  })

  afterAll(() => {
    if (!isEvidence) rmSync(folder, { recursive: true })
  })

  test('finds the files as the watched calls have left them', () => {
    for (const [name, bytes] of past.end()) {
      expect(readFileSync(join(folder, name)).equals(bytes), `${name} is what the trace says`).toBe(true)
    }
  })

  test('finds every frame and every 2xx that left for a client synced before it left', () => {
    const { held, broken } = past.prove(join(folder, 'image'))
    console.log(`synced before they were told: ${JSON.stringify(held)}`)
    expect(broken).toEqual([])
  })

  test('would find out if anything was told one sync earlier', () => {
    expect(past.prove(join(folder, 'image'), { syncsLate: 1 }).broken.length).toBeGreaterThan(0)
  })

  test('at any moment takes nothing that was told before, whatever else it takes', async () => {
    const host = new Host()
    const figures = { cuts: 0, sessions: 0, frames: 0 }
    const checking: Promise<void>[] = []
    try {
      for await (const cut of past.cuts(join(folder, 'cuts'), cuts, random)) {
        lay(cut, join(folder, 'agents'))
        figures.cuts += 1
        figures.sessions += cut.witness.sessions.length
        for (const { frames } of cut.witness.sessions) figures.frames += frames.size
        if (checking.length === atOnce) await checking.shift()
        const check = checked(host, cut, figures.cuts % wholeEvery === 0)
        // Making the next must not make a failure look unhandled.
        check.catch(() => {})
        checking.push(check)
      }
      await Promise.all(checking)
    } finally {
      await host.end()
    }
    console.log(`power cuts: ${JSON.stringify(figures)}`)
  })
})

/** Checks a cut, on a process of its own or not. Its files stay when that fails. */
async function checked(host: Host, cut: Cut, alone: boolean): Promise<void> {
  try {
    await (alone ? checkAlone(cut) : check(host, cut))
  } catch (cause) {
    throw new Error(`${cause instanceof Error ? cause.message : cause}\n${cut.story}\n${cut.folder}`, { cause })
  }
  rmSync(cut.folder, { recursive: true })
}
