import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { Random } from '../crash/random.ts'
import { newSeed } from '../session-manager/house.ts'
import { makeTempDir } from '../store/temp-dir.ts'
import type { Bench } from './bench.ts'
import {
  DamagedHouse,
  openDamaged,
  otherReads,
  overwrite,
  type StoredText,
  sessionReads,
  textsOf,
} from './damaged-house.ts'

const rounds = Number(process.env.DAMAGE_ROUNDS ?? 8)

const { path: dir, remove } = makeTempDir()
let house: DamagedHouse
beforeAll(async () => {
  house = await DamagedHouse.build(dir)
})
afterAll(remove)

const Named = z.array(z.looseObject({ id: z.string().optional(), run_id: z.string().optional() }))

describe('A server over a database in which texts are damaged at random', () => {
  const seed = newSeed('damaged texts')

  it.each(Array.from({ length: rounds }, (_, place) => seed + place))(
    'starts, answers every question, and shows every other session as it was: seed %d',
    { timeout: 600_000 },
    async (number) => {
      const random = new Random(number)
      const path = house.copy()
      const rows = random.some(textsOf(path), random.between(1, 4)).map((row) => damage(row, random))
      overwrite(path, rows)
      const { bench } = await openDamaged(path)
      const { rested, other, parent, child } = house.ids
      for (const id of Object.values(house.ids)) await readAll(bench, id, rows)
      for (const name of otherReads) await read(bench, name, {}, rows)
      const hit = new Set(rows.map(({ session }) => session))
      for (const [id, family] of [
        [rested, [rested]],
        [other, [other]],
        [parent, [parent, child]],
      ] as const) {
        if (!family.some((one) => hit.has(one))) expect(await shown(bench, id)).toEqual(await original(id))
      }
      for (const id of Object.values(house.ids)) {
        const { status } = await bench.client.open('deleteSession', { params: { id } })
        expect([200, 202, 404], describeRows(rows)).toContain(status)
      }
    },
  )
})

const originals = new Map<string, unknown>()

/** A session as it was shown before anything was damaged. */
async function original(id: string): Promise<unknown> {
  if (!originals.has(id)) {
    const { bench } = await openDamaged(house.copy())
    originals.set(id, await shown(bench, id))
  }
  return originals.get(id)
}

async function shown({ client }: Bench, id: string): Promise<unknown> {
  const views = ['getSession', 'getRecovery', 'listRuns', 'listInputs', 'getEvents'] as const
  const all = views.map((name) => client.call(name, { params: { id }, headers: { accept: 'application/json' } }))
  return (await Promise.all(all)).map(({ status, body }) => ({ status, body }))
}

/** Asks everything that can be asked of a session, and of what it names. */
async function readAll(bench: Bench, id: string, rows: readonly StoredText[]): Promise<void> {
  const ids = { run_id: await firstOf(bench, 'listRuns', id), request_id: await firstOf(bench, 'listRequests', id) }
  const input_id = await firstOf(bench, 'listInputs', id)
  for (const name of sessionReads) await read(bench, name, { id, ...ids, input_id }, rows)
}

async function firstOf({ client }: Bench, name: 'listRuns' | 'listRequests' | 'listInputs', id: string) {
  const answer = await client.open(name, { params: { id }, query: { state: 'all' } })
  const [first] = Named.safeParse(await answer.json()).data ?? []
  return first?.run_id ?? first?.id ?? 'none'
}

async function read(
  { client }: Bench,
  name: (typeof sessionReads)[number],
  params: object,
  rows: readonly StoredText[],
) {
  const request = {
    params: { ...params },
    headers: { accept: 'application/json' },
    query: { since: '0', timeout: '0' },
  }
  const answer = await client.open(name, request)
  expect(answer.status, `${name}: ${await answer.text()}, ${describeRows(rows)}`).not.toBe(500)
}

function describeRows(rows: readonly StoredText[]): string {
  return rows.map(({ kind, num, text }) => `${kind} ${num}: ${text.slice(0, 2000)}`).join('\n')
}

/** What may become of a text. */
function damage(row: StoredText, random: Random): StoredText {
  const { text } = row
  const at = random.between(0, Math.max(text.length - 1, 0))
  const names = [...text.matchAll(/"\w+":/g)]
  const name = random.pick(names)
  const ways: readonly string[] = [
    text.slice(0, at),
    text.slice(at),
    `${text.slice(0, at)}${String.fromCharCode(random.between(1, 126))}${text.slice(at + 1)}`,
    `${text.slice(0, at)}${String.fromCharCode(random.between(1, 126))}${text.slice(at + 1)}`,
    `${text.slice(0, at)}${text.slice(at + 1)}`,
    name === undefined ? 'null' : text.replace(name[0], '"other":'),
    name === undefined ? '7' : text.replace(name[0], `${name[0]}null,"other":`),
    name === undefined ? '{}' : text.replace(name[0], `${name[0]}[{}],"other":`),
    name === undefined ? '""' : text.replace(name[0], `${name[0]}"new",${name[0]}`),
    ['null', '{}', '[]', '""', '7', 'true', ''][random.between(0, 6)] ?? '',
  ]
  return { ...row, text: random.pick(ways) ?? '' }
}
