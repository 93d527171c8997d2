/** `npm run bench`: every bench, or those that are named; `--write` puts the figures into docs/benchmarks.md. */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench } from './bench.ts'
import { cancelToStopped } from './benches/cancel-to-stopped.ts'
import { cpuPerToken } from './benches/cpu-per-token.ts'
import { createSession } from './benches/create-session.ts'
import { fanOut } from './benches/fan-out.ts'
import { getSession } from './benches/get-session.ts'
import { replay } from './benches/replay.ts'
import { start } from './benches/start.ts'
import type { Comparison } from './comparison.ts'
import { writeFigures } from './document.ts'
import { root } from './role.ts'
import { table } from './table.ts'

const benches: readonly Bench[] = [cpuPerToken, cancelToStopped, getSession, createSession, fanOut, replay, start]

const usage = `usage: npm run bench -- [NAME...] [--write] [--profile FOLDER]

  NAME      ${benches.map(({ name }) => name).join(', ')}; all of them when none is named
  --write   puts the figures into docs/benchmarks.md
  --profile leaves profiles of the servers under measurement in a folder, for the DevTools of a browser`

let stage = new AsyncDisposableStack()
let leaving: Promise<void> | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    leaving ??= leave()
  })
}

await main().catch((error: unknown) => {
  // What fails because it was ended has nothing to say.
  if (leaving === undefined) throw error
})

async function main(): Promise<void> {
  const { values, positionals } = read()
  const chosen = positionals.length === 0 ? benches : benches.filter(({ name }) => positionals.includes(name))
  const comparisons: Comparison[] = []
  for (const bench of chosen) comparisons.push(...(await run(bench, values.profile)))
  console.log(`\n${table(comparisons)}`)
  if (values.write) writeFigures(join(root, 'docs/benchmarks.md'), comparisons)
}

function read() {
  try {
    const options = { write: { type: 'boolean' }, profile: { type: 'string' } } as const
    const { values, positionals } = parseArgs({ options, allowPositionals: true })
    const unknown = positionals.find((name) => benches.every((bench) => bench.name !== name))
    if (unknown !== undefined) throw new Error(`there is no bench ${unknown}`)
    if (values.write && positionals.length > 0) throw new Error('--write is for a run of all benches')
    return { values, positionals }
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}\n\n${usage}`)
    process.exit(2)
  }
}

async function run(bench: Bench, profiles: string | undefined): Promise<readonly Comparison[]> {
  const profile = profiles === undefined ? undefined : resolve(profiles, bench.name)
  if (profile !== undefined) mkdirSync(profile, { recursive: true })
  await using mine = new AsyncDisposableStack()
  stage = mine
  const tell = (sentence: string) => console.error(`${bench.name}: ${sentence}`)
  return await bench.run({ stage, tell, profile })
}

/** What was started ends first. */
async function leave(): Promise<void> {
  await stage.disposeAsync()
  process.exit(130)
}
