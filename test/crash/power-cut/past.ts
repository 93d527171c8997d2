import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Random } from '../random.ts'
import { answersIn, type ToldAnswer } from './answers.ts'
import type { Cut } from './cut.ts'
import type { Deed } from './deeds.ts'
import { Disk, type Found } from './disk.ts'
import { witnessAt } from './hindsight.ts'
import type { Life } from './life.ts'
import { claimsOf, Image, Judge, type Verdict } from './proof.ts'
import type { Call } from './trace.ts'

/** How likely a change that was not synced has happened. */
const chances = [0, 0.1, 0.5, 0.9, 1]
/** How many of the cuts come before a process has told anything. */
const atStart = 0.15

/** Everything that processes on the same files did and told, one process after the other. */
export class Past {
  readonly #folder: string
  readonly #calls: readonly Call[]
  readonly #deeds: readonly Deed[]
  readonly #answers: ReadonlyMap<string, ToldAnswer>
  /** Calls after which something is different, before and after each process began to tell. */
  readonly #places: { readonly start: readonly number[]; readonly all: readonly number[] }

  constructor(folder: string, lives: readonly Life[]) {
    this.#folder = folder
    this.#calls = lives.flatMap(({ calls }) => calls)
    this.#deeds = lives.flatMap(({ deeds }) => deeds.all)
    const answers = new Map<string, ToldAnswer>()
    const start: number[] = []
    const all: number[] = []
    let before = 0
    for (const { calls } of lives) {
      for (const [id, answer] of answersIn(calls)) answers.set(id, shifted(answer, before))
      const places = calls.flatMap((call, at) => (counts(call) ? [before + at] : []))
      const first = before + calls.findIndex(isTelling)
      start.push(...places.filter((at) => at < first))
      all.push(...places)
      before += calls.length
    }
    this.#answers = answers
    this.#places = { start, all }
  }

  toString(): string {
    const count = (...names: string[]): number => this.#calls.filter(({ name }) => names.includes(name)).length
    const frames = [...this.#answers.values()].reduce((sum, answer) => sum + answer.frames.length, 0)
    const moved = this.#calls.filter(
      ({ name, targets: [target] }) => name === 'pwrite64' && target?.endsWith('.db'),
    ).length
    const calls = `${count('pwrite64')} writes (${moved} to the database itself), ${count('fsync', 'fdatasync')} syncs`
    return `${calls}, ${this.#answers.size} of ${this.#deeds.length} requests answered, ${frames} frames told`
  }

  /** The files as they are when everything is written that was to be. */
  end(): Found {
    const disk = new Disk(this.#folder)
    for (const call of this.#calls) disk.take(call)
    return disk.asWritten()
  }

  /**
   * Looks, whenever something was told, for it in what was certain to be on the disk by then: the files without anything
   * that was not synced. Of a session that was gone by then only that is looked at. `syncsLate` looks at the files as they
   * were so many syncs before.
   */
  prove(folder: string, { syncsLate = 0 }: { readonly syncsLate?: 0 | 1 } = {}): Verdict {
    mkdirSync(folder)
    const disk = new Disk(this.#folder)
    const image = new Image(folder)
    const judge = new Judge()
    let next = 0
    const claims = claimsOf(this.#deeds, this.#answers)
    this.#calls.forEach((call, at) => {
      const before = syncsLate === 1 && isSync(call) ? disk.certain() : undefined
      if (disk.take(call)) image.change(before === undefined ? () => disk.certain() : () => before)
      for (let claim = claims[next]; claim !== undefined && claim.at <= at; next += 1, claim = claims[next]) {
        judge.hear(claim, image)
      }
    })
    image.close()
    rmSync(folder, { recursive: true })
    return judge
  }

  /** Cuts the power so many times, at random moments. Each cut has a folder of its own below the given one. */
  async *cuts(folder: string, count: number, random: Random): AsyncGenerator<Cut> {
    mkdirSync(folder)
    const moments = this.#moments(count, random)
    const disk = new Disk(this.#folder)
    let number = 0
    for (const [at, call] of this.#calls.entries()) {
      disk.take(call)
      for (; moments[number] === at; number += 1) {
        const chance = random.pick(chances) ?? 0
        yield {
          folder: join(folder, String(number)),
          found: disk.cut(random, chance),
          witness: await witnessAt(at, this.#deeds, this.#answers),
          withSharedMemory: random.chance(0.25),
          random: new Random(number),
          story: `power cut ${number} after call ${at} (${call.name} ${call.targets.at(-1)}), chance ${chance}`,
        }
      }
    }
  }

  #moments(count: number, random: Random): readonly number[] {
    const moments = Array.from({ length: count }, () => {
      const places = random.chance(atStart) ? this.#places.start : this.#places.all
      return random.pick(places) ?? 0
    })
    return moments.sort((a, b) => a - b)
  }
}

function isTelling({ targets: [target = ''] }: Call): boolean {
  return target.startsWith('socket:')
}

function isSync({ name }: Call): boolean {
  return name === 'fsync' || name === 'fdatasync'
}

function counts(call: Call): boolean {
  return isTelling(call) || isSync(call) || /^(pwrite64|ftruncate|unlink)$/.test(call.name)
}

function shifted(answer: ToldAnswer, by: number): ToldAnswer {
  return { ...answer, at: answer.at + by, frames: answer.frames.map((frame) => ({ ...frame, at: frame.at + by })) }
}
