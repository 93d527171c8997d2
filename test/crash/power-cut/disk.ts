import { writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Random } from '../random.ts'
import type { Call } from './trace.ts'

/** What a disk writes whole or not at all. */
const sector = 512

interface Write {
  readonly at: number
  readonly data: Buffer
}

/** A write that the disk may or may not have carried out, or a new length. */
type Change = Write | { readonly length: number }

/** A file whatever its name: what is certain to be there, and what was done to it since. */
class Inode {
  durable: Buffer = Buffer.alloc(0)
  pending: Change[] = []

  write(at: number, data: Buffer): void {
    for (let from = 0; from < data.length; ) {
      const to = Math.min(data.length, from + sector - ((at + from) % sector))
      this.pending.push({ at: at + from, data: data.subarray(from, to) })
      from = to
    }
  }

  sync(): void {
    if (this.pending.length > 0) this.durable = this.#with(this.pending)
    this.pending = []
  }

  /** With some of the changes since the last sync. */
  found(has: () => boolean): Buffer {
    return this.#with(this.pending.filter(has))
  }

  #with(changes: readonly Change[]): Buffer {
    let length = this.durable.length
    for (const change of changes) {
      length = 'length' in change ? change.length : Math.max(length, change.at + change.data.length)
    }
    const most = changes.reduce(
      (sum, change) => ('at' in change ? Math.max(sum, change.at + change.data.length) : sum),
      0,
    )
    const bytes = Buffer.alloc(Math.max(length, most, this.durable.length))
    this.durable.copy(bytes)
    for (const change of changes) {
      if ('at' in change) change.data.copy(bytes, change.at)
      else bytes.fill(0, change.length)
    }
    return bytes.subarray(0, length)
  }
}

type Entry = { readonly link: string; readonly inode: Inode } | { readonly unlink: string }

/** What was found on a disk after a cut, by name. */
export type Found = ReadonlyMap<string, Buffer>

/**
 * The files of one folder as the system calls of a process leave them, with what a power cut may take: every change that
 * was not synced since, alone, in pieces of one sector; and names that came or went since the folder was synced, in their
 * order, as a journal has them. Shared memory (`-shm`) is left out: after a cut nobody may trust it.
 */
export class Disk {
  readonly #folder: string
  readonly #now = new Map<string, Inode>()
  readonly #durable = new Map<string, Inode>()
  #pending: Entry[] = []

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Follows one call. Answers whether it made anything certain. Throws when it does not know a call that matters. */
  take({ name, targets, data, rest }: Call): boolean {
    // Before the path, a call may name the directory that it is relative to.
    const target = targets.at(-1) ?? ''
    if (!targets.slice(name.startsWith('rename') ? 0 : -1).some((path) => this.#isHere(path))) return false
    if (name === 'openat' || name === 'open' || name === 'creat') this.#open(target, rest)
    else if (name === 'fsync' || name === 'fdatasync') return this.#sync(target)
    else if (name === 'pwrite64') this.#inode(target).write(lastNumber(rest), data)
    else if (name === 'ftruncate') this.#inode(target).pending.push({ length: lastNumber(rest) })
    else if (name === 'unlink' || name === 'unlinkat') this.#unlink(basename(target))
    else throw new Error(`this disk does not know ${name} of ${target}`)
    return false
  }

  /** What would be found if the power went now: each change that is not certain has happened with that chance. */
  cut(random: Random, chance: number): Found {
    const names = new Map(this.#durable)
    const end = this.#pending.findIndex(() => !random.chance(chance))
    for (const entry of end === -1 ? this.#pending : this.#pending.slice(0, end)) apply(names, entry)
    return found(names, () => random.chance(chance))
  }

  /** What would be found if the power went now, at the least. */
  certain(): Found {
    return found(this.#durable, () => false)
  }

  /** What the process itself would find. */
  asWritten(): Found {
    return found(this.#now, () => true)
  }

  #isHere(path: string): boolean {
    if (path.endsWith('-shm') || path.endsWith('.owner')) return false
    return path === this.#folder || (dirname(path) === this.#folder && basename(path).startsWith('quarterdeck.db'))
  }

  #open(path: string, rest: string): void {
    const name = basename(path)
    if (path === this.#folder || !rest.includes('O_CREAT') || this.#now.has(name)) return
    const inode = new Inode()
    this.#now.set(name, inode)
    this.#pending.push({ link: name, inode })
  }

  #unlink(name: string): void {
    this.#now.delete(name)
    this.#pending.push({ unlink: name })
  }

  #sync(path: string): boolean {
    if (path === this.#folder) {
      for (const entry of this.#pending) apply(this.#durable, entry)
      this.#pending = []
      return true
    }
    this.#inode(path).sync()
    return true
  }

  #inode(path: string): Inode {
    const inode = this.#now.get(basename(path))
    if (inode === undefined) throw new Error(`${path} was never opened`)
    return inode
  }
}

/** Writes what was found into a folder that exists. */
export function writeFound(folder: string, found: Found): void {
  for (const [name, bytes] of found) writeFileSync(join(folder, name), bytes)
}

function found(names: ReadonlyMap<string, Inode>, has: () => boolean): Found {
  return new Map([...names].map(([name, inode]) => [name, inode.found(has)]))
}

function apply(names: Map<string, Inode>, entry: Entry): void {
  if ('link' in entry) names.set(entry.link, entry.inode)
  else names.delete(entry.unlink)
}

function lastNumber(text: string): number {
  return Number(text.slice(text.lastIndexOf(',') + 1))
}
