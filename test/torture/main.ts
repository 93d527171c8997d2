/**
 * Runs the built program under load and ends it, or troubles it, at random moments; after each time everything must be as
 * clients were told. `--rounds N` (300), `--seed N`, `--worlds N` (2; so many databases at the same time), `--program FILE`,
 * `--behaviour resume|interrupt`. Ends with 0 when nobody has anything to complain about, else with 1.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Random } from '../crash/random.ts'
import { behaviours } from './behaviour.ts'
import { Complaint } from './complaint.ts'
import { Figures } from './figures.ts'
import { World } from './world.ts'

/** Rounds on one database; then a new one, so that it does not grow for ever. */
const roundsPerDatabase = 15
/** Lines of a story that are told at once; all of it is kept with the evidence. */
const toldLines = 80

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '300' },
    seed: { type: 'string' },
    worlds: { type: 'string', default: '2' },
    program: { type: 'string', default: resolve(import.meta.dirname, '../../dist/main.js') },
    behaviour: { type: 'string', default: 'resume' },
  },
})
const rounds = Number(values.rounds)
const seed = Number(values.seed ?? Date.now() % 1_000_000)
const behaviour = behaviours[values.behaviour === 'interrupt' ? 'interrupt' : 'resume']

console.log(`torture: --rounds ${rounds} --seed ${seed} --behaviour ${values.behaviour}`)
const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-torture-'))
const figures = new Figures()
const sizes = Array.from({ length: Math.ceil(rounds / roundsPerDatabase) }, (_, place) => ({
  place,
  rounds: Math.min(roundsPerDatabase, rounds - place * roundsPerDatabase),
}))
let failed = false
await Promise.all(Array.from({ length: Number(values.worlds) }, playAll))
console.log(`torture: ${figures}`)
if (failed) process.exitCode = 1
else rmSync(folder, { recursive: true })

/** Plays world after world while there are any. */
async function playAll(): Promise<void> {
  for (let next = sizes.shift(); next !== undefined && !failed; next = sizes.shift())
    await play(next.place, next.rounds)
}

async function play(place: number, most: number): Promise<void> {
  const name = `${seed}.${place}`
  const options = { program: values.program, folder: join(folder, name), name: `${process.pid}.${place}` }
  const world = new World({ ...options, random: new Random(seed + place), behaviour, figures })
  let round = 0
  try {
    await world.play(most, () => {
      round += 1
    })
    console.log(`torture: database ${place}, ${round} rounds; ${figures.rounds} of ${rounds} in ${figures.seconds} s`)
  } catch (error) {
    failed = true
    const session = error instanceof Complaint ? error.session : undefined
    const story = world.story(session)
    writeFileSync(join(folder, `${name}.txt`), story.join('\n'))
    const text = error instanceof Complaint ? error.message : error instanceof Error ? error.stack : String(error)
    console.error(
      ['', ...story.slice(-toldLines), '', `torture: seed ${seed}, database ${place}, round ${round}: ${text}`].join(
        '\n',
      ),
    )
    console.error(`torture: the database and the whole story are kept in ${folder}`)
  }
}
