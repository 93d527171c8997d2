import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { SqliteReader } from '../../../src/store/sqlite-reader.ts'
import type { Segment } from '../../../src/store/store.ts'
import type { Frame } from '../frames.ts'
import { parse, toldBySnapshot } from '../talker.ts'
import type { ToldAnswer } from './answers.ts'
import { type Deed, placeOf } from './deeds.ts'
import { type Found, writeFound } from './disk.ts'
import { saidIn } from './hindsight.ts'

const Created = z.object({ id: z.string() })
const Started = z.object({ run_id: z.string() })
const Titled = z.object({ title: z.string() })

/** What stands where the path of a session has its id. */
const fleet = 'events'

/** Something that was told, and how to see that it is in a database. */
export interface Claim {
  /** The call that told it. */
  readonly at: number
  readonly what: string
  readonly sessionId: string
  holds(image: Image): boolean
}

/** All that answers and frames claim, in the order in which it was told. */
export function claimsOf(deeds: readonly Deed[], answers: ReadonlyMap<string, ToldAnswer>): readonly Claim[] {
  const claims = deeds.flatMap((deed) => {
    const told = answers.get(deed.id)
    return told === undefined || told.status >= 300 ? [] : claimsOfOne(deed, told)
  })
  return claims.sort((a, b) => a.at - b.at)
}

function claimsOfOne(deed: Deed, told: ToldAnswer): readonly Claim[] {
  const { sessionId, act } = placeOf(deed)
  const frames = told.frames.map((frame) => ({
    at: frame.at,
    what: sessionId === fleet ? 'frame of the fleet' : 'frame',
    sessionId,
    holds: (image: Image) => isStored(image, sessionId, frame),
  }))
  const holds = claimOf(deed, told)
  if (holds === undefined) return frames
  const what = act.replace(/agent\/.*/, 'agent')
  const about = act === 'POST' ? (parse(Created, told.text)?.id ?? '') : act === 'DELETE' ? '' : sessionId
  return [{ at: told.at, what, sessionId: about, holds: ({ reader }) => holds(reader) }, ...frames]
}

/** What a good answer claims; `undefined` when that is nothing, or the answer was cut off. */
function claimOf(deed: Deed, { text }: ToldAnswer): ((reader: SqliteReader) => boolean) | undefined {
  const { sessionId: id, act } = placeOf(deed)
  if (act === 'POST') {
    const created = parse(Created, text)
    return created && ((reader) => reader.session(created.id) !== undefined)
  }
  if (act === 'DELETE') return (reader) => reader.session(id) === undefined
  if (act === 'PATCH title') return (reader) => reader.session(id)?.title === Titled.parse(deed.body).title
  if (act === 'POST runs') {
    const run = parse(Started, text)
    return run && ((reader) => reader.run(id, run.run_id) !== undefined)
  }
  if (act === 'GET snapshot') {
    const told = toldBySnapshot(text)
    return told && ((reader) => reader.log.bounds(id).head >= told.seq)
  }
  if (act === 'POST steer' || act === 'POST followup' || act.startsWith('POST agent/')) {
    return (reader) => wasSaid(reader, id, saidIn(deed))
  }
  return undefined
}

function isStored(image: Image, id: string, { seq, bytes }: Frame): boolean {
  return image.page(id, seq)?.text.includes(Buffer.from(bytes, 'latin1').toString()) === true
}

function wasSaid(reader: SqliteReader, id: string, text: string): boolean {
  if (reader.inputs(id).some(({ message }) => JSON.stringify(message).includes(text))) return true
  return reader.items(id, { last: 200 }).some(({ body }) => JSON.stringify(body).includes(text))
}

/** What became of the claims: how many held, by what they claim, and those that did not. */
export interface Verdict {
  readonly held: Readonly<Record<string, number>>
  readonly broken: readonly string[]
}

/** Holds claims against databases that follow one another. */
export class Judge implements Verdict {
  readonly held: Record<string, number> = {}
  readonly broken: string[] = []
  /** Sessions that were there once. */
  readonly #known = new Set<string>()

  hear(claim: Claim, image: Image): void {
    const { at, what, sessionId } = claim
    const isThere = image.reader.session(sessionId) !== undefined
    if (isThere) this.#known.add(sessionId)
    if (!isThere && this.#known.has(sessionId)) this.#note('of a deleted session')
    else if (claim.holds(image)) this.#note(what)
    else this.broken.push(`call ${at} told ${what} of session ${sessionId}`)
  }

  #note(what: string): void {
    this.held[what] = (this.held[what] ?? 0) + 1
  }
}

/** A database to be read with the store's own statements, made of files that change. */
export class Image {
  readonly #folder: string
  #reader: SqliteReader | undefined
  #found: (() => Found) | undefined
  /** The page of each session's log that was looked at last. */
  readonly #pages = new Map<string, Segment>()

  /** The folder must exist. */
  constructor(folder: string) {
    this.#folder = folder
  }

  /** The files are others now. They are asked for when somebody wants to read. */
  change(found: () => Found): void {
    this.#found = found
  }

  get reader(): SqliteReader {
    if (this.#found !== undefined) {
      this.close()
      for (const name of readdirSync(this.#folder)) rmSync(join(this.#folder, name))
      writeFound(this.#folder, this.#found())
      this.#found = undefined
    }
    this.#reader ??= new SqliteReader(join(this.#folder, 'quarterdeck.db'))
    return this.#reader
  }

  /** Events of a session, the one with that seq among them, if it is there. */
  page(id: string, seq: number): Segment | undefined {
    const before = this.#pages.get(id)
    if (before !== undefined && before.first <= seq && seq <= before.last && this.#found === undefined) return before
    const page = id === fleet ? this.reader.fleet.page(seq - 1) : this.reader.log.page(id, seq - 1)
    if (page !== undefined) this.#pages.set(id, page)
    return page
  }

  close(): void {
    this.#pages.clear()
    this.#reader?.close()
    this.#reader = undefined
  }
}
