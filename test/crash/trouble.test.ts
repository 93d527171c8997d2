import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Random } from './random.ts'
import { Trial } from './trial.ts'

const seed = Number(process.env.QUARTERDECK_CRASH_SEED ?? Date.now() % 1_000_000)
/** How long the other program keeps its lock: longer than the server waits for one. */
const lockSeconds = Number(process.env.QUARTERDECK_LOCK_SECONDS ?? 7)
const hour = 3_600_000

let parent: string
let trial: Trial

beforeEach(() => {
  console.log(`QUARTERDECK_CRASH_SEED=${seed}`)
  parent = mkdtempSync(join(tmpdir(), 'quarterdeck-trouble-'))
  trial = new Trial(join(parent, 'trial'), new Random(seed))
})

afterEach(({ task }) => {
  const keep = task.result?.state === 'fail'
  trial.leave({ keep })
  if (!keep) rmSync(parent, { recursive: true })
})

const hasLimits = spawnSync('prlimit', ['--version']).status === 0
const why = hasLimits ? '' : ' (skipped: there is no prlimit)'

describe.skipIf(!hasLimits)(`a disk that fills up under load${why}`, () => {
  test('is told as 503 until there is room again, and costs nothing that was told', async () => {
    await trial.begin()
    await trial.written(500_000)
    limitFiles(100_000 + Math.max(...['', '-wal'].map((end) => statSync(`${database()}${end}`).size)))
    await trial.becomes(false)
    limitFiles(4096)
    expect(await trial.create()).toMatchObject({ status: 503, text: expect.stringContaining('"store_unavailable"') })
    limitFiles('unlimited')
    await trial.becomes(true)
    await trial.written(500_000)
    await trial.end('SIGKILL')
    await trial.begin()
    await trial.end('SIGTERM')
  })
})

describe('another program that locks the database under load', () => {
  test(`is told as 503 after a while, also for ${lockSeconds} s, and costs nothing that was told`, async () => {
    await trial.begin()
    await trial.written(200_000)
    const other = new Database(database(), { timeout: 30_000 })
    other.exec('BEGIN IMMEDIATE')
    const held = delay(lockSeconds * 1000)
    await trial.becomes(false, 'another program keeps the database locked')
    expect(await trial.create()).toMatchObject({ status: 503, text: expect.stringContaining('"store_unavailable"') })
    await held
    other.exec('ROLLBACK')
    other.close()
    await trial.becomes(true)
    await trial.written(200_000)
    await trial.end('SIGKILL')
    await trial.begin()
    await trial.end('SIGTERM')
  })
})

describe('a clock that is set back by an hour', () => {
  const clock = ['--import', resolve(import.meta.dirname, 'moved-clock.ts')]

  test('changes no order, while the server works and between two servers', async () => {
    await trial.begin(clock)
    await trial.written(500_000)
    trial.server.kill('SIGUSR2')
    await expect.poll(async () => Date.now() - (await createdAt())).toBeGreaterThan(hour / 2)
    await trial.written(500_000)
    await trial.end('SIGKILL')
    await trial.begin(clock, { QUARTERDECK_CLOCK: String(-2 * hour) })
    await trial.written(500_000)
    await trial.end('SIGTERM')
    await trial.begin()
    await trial.end('SIGTERM')
  })
})

/** When the server believes that a new session is made. */
async function createdAt(): Promise<number> {
  const { text } = await trial.create()
  return Date.parse(z.object({ created_at: z.string() }).parse(JSON.parse(text)).created_at)
}

function database(): string {
  return join(trial.folder, 'quarterdeck.db')
}

/** The longest file, in bytes, that the server may write from now on; longer ones stay as they are. */
function limitFiles(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(trial.server.pid), `--fsize=${bytes}:`])
}
