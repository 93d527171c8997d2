import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Figures } from './figures.ts'
import { Rounds } from './rounds.ts'

/** Rounds on one database file; then a new one, so that it does not grow for ever. In every other one runs do not go on. */
const roundsPerDatabase = 10

const rounds = Number(process.env.QUARTERDECK_CRASH_ROUNDS ?? 40)
const seed = Number(process.env.QUARTERDECK_CRASH_SEED ?? Date.now() % 1_000_000)

/** Only Linux says what a process has written. */
describe.runIf(process.platform === 'linux')(
  'a server that ends at a random byte while many clients are at work',
  () => {
    test('has kept everything that it told when it was killed', () => play('SIGKILL', rounds))

    test('has kept everything that it told when it was ended in order', () => play('SIGTERM', Math.ceil(rounds / 4)))
  },
)

/** Plays rounds on one database after the other. The files of a test that fails stay: they are evidence. */
async function play(signal: 'SIGKILL' | 'SIGTERM', total: number): Promise<void> {
  const figures = new Figures()
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-crash-'))
  for (let done = 0; done < total; done += roundsPerDatabase) {
    const recovery = (done / roundsPerDatabase) % 2 === 0 ? 'resume' : 'interrupt'
    const options = { folder: join(folder, String(done)), seed: seed + done, signal, recovery, figures } as const
    console.log(`${signal}, ${recovery}: ${done} of ${total} rounds, QUARTERDECK_CRASH_SEED=${options.seed}`)
    await new Rounds(options).play(Math.min(roundsPerDatabase, total - done))
  }
  console.log(`${signal}: ${figures}`)
  expect(figures.recoveries, 'runs that went on in the next server').toBeGreaterThan(0)
  rmSync(folder, { recursive: true })
}
