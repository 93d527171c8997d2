/**
 * Keeps the built program at work for a while, and looks whether anything grows that should not. `--minutes N` (10),
 * `--seed N`. Ends with 0 when every level held, else with 1.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Random } from '../crash/random.ts'
import { type Started, start } from '../process.ts'
import { writeAgents } from './agents.ts'
import { Inspector } from './inspector.ts'
import { averageDisk, type Levels, measure, names, rises } from './levels.ts'
import { countRows, tables } from './rows.ts'
import { type Tally, visit, watchAll } from './visit.ts'

/** They come at a pace that a busy machine keeps too: the level of the disk follows the load. */
const visitors = 6
/** Before this share of the samples, and so many, and so long, caches fill, and nothing is old enough to go. */
const warmUp = { share: 0.2, samples: 4, ms: 80_000 } as const

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } })
const minutes = Number(values.minutes)
const seed = Number(values.seed ?? Date.now() % 1_000_000)
if (!(minutes >= 3)) throw new Error('a soak takes 3 minutes at least: the first half of them only warms up')
const everyMs = Math.min(60_000, minutes * 6000)

console.log(`soak: ${minutes} minutes, --seed ${seed}`)
const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-soak-'))
writeAgents(join(folder, 'agents'))
const program = resolve(import.meta.dirname, '../../dist/main.js')
/** On the fast clock a day is less than ten seconds. */
const retention = {
  '--event-retention': '5d,2000',
  '--delta-retention': '2d',
  '--session-retention': '5d',
  '--idempotency-retention': '5d',
}
const flags = ['--listen', '127.0.0.1:0', '--log-level', 'error', ...Object.entries(retention).flat()]
const node = ['--inspect=127.0.0.1:0', '--import', resolve(import.meta.dirname, 'fast-clock.ts')]
const server = start([...node, program, 'serve', 'agents', ...flags], { cwd: folder })
// Without the server every visit fails, and the soak cleans up.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => server.kill('SIGTERM'))
try {
  process.exitCode = (await soak(server)) ? 0 : 1
} finally {
  server.kill('SIGTERM')
  await server.exit
  rmSync(folder, { recursive: true })
}

/** Answers whether every level held. */
async function soak(server: Started): Promise<boolean> {
  const url = await server.url
  const debuggerUrl = /ws:\/\/\S+/.exec(server.stderr())?.[0] ?? ''
  const inspector = await Inspector.connect(debuggerUrl)
  const random = new Random(seed)
  const tally: Tally = { visits: 0, runs: 0, approvals: 0, events: 0 }
  const samples: Levels[] = []
  console.log(line(['minute', ...names, ...tables.map((name) => `#${name}`), ...Object.keys(tally)]))
  const began = performance.now()
  while (performance.now() - began < minutes * 60_000) {
    const end = performance.now() + everyMs
    const crew = Array.from({ length: visitors }, async () => {
      while (performance.now() < end) {
        const next = performance.now() + random.between(500, 1500)
        await visit(url, random, tally)
        await delay(Math.max(next - performance.now(), 0))
      }
    })
    const dashboard = new AbortController()
    const watching = watchAll(url, random, dashboard.signal)
    const disk = averageDisk(folder, dashboard.signal)
    await Promise.all(crew).finally(() => dashboard.abort())
    await watching
    const sample = await measure(server.pid, await disk, inspector)
    samples.push(sample)
    const minute = ((performance.now() - began) / 60_000).toFixed(1)
    const levels = names.map((name) => shown(name, sample[name]))
    const counts = [...countRows(join(folder, 'quarterdeck.db')), ...Object.values(tally)]
    console.log(line([minute, ...levels, ...counts.map(String)]))
  }
  inspector.close()
  const warm = samples.slice(
    Math.max(warmUp.samples, Math.ceil(samples.length * warmUp.share), Math.ceil(warmUp.ms / everyMs)),
  )
  const risen = rises(warm)
  for (const { name, from, to, held } of risen) {
    console.log(`${held ? 'held' : 'ROSE'}: ${name} ${shown(name, from)} -> ${shown(name, to)}`)
  }
  const complaints = server.stderr().replace(/^(Debugger|For help).*\n/gm, '')
  if (complaints !== '') console.log(complaints)
  return risen.every(({ held }) => held) && complaints === ''
}

function shown(name: (typeof names)[number], value: number): string {
  return name === 'handles' || name === 'files' ? String(value) : `${(value / 1024 / 1024).toFixed(1)} MB`
}

function line(cells: readonly string[]): string {
  return cells.map((cell) => cell.slice(0, 10).padStart(11)).join('')
}
