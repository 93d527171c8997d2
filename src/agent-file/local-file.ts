import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { type AgentSummary, Refusal } from '../protocol/protocol.ts'
import { type LoadedAgentFile, versionOf } from './agent-sources.ts'
import { summarise } from './agent-summary.ts'
import { readText, Unreadable } from './instruction-file.ts'
import { parseAgentFile } from './parse-agent-file.ts'

/** A file this young may be written again within one tick of the file system's clock: its stamp proves nothing yet. */
const youngMs = 1000

/** One agent file on disk, read again when it or an instruction file of it has changed. */
export class LocalFile {
  readonly key: string
  readonly path: string
  #stamps: ReadonlyMap<string, string> = new Map()
  #read = 0
  #good: LoadedAgentFile | undefined
  #refusal: Refusal | undefined

  constructor(key: string, path: string) {
    this.key = key
    this.path = path
  }

  /** The newest version that parsed. Throws `invalid_agent_file` if there never was one. */
  load(): LoadedAgentFile {
    this.#refresh()
    if (this.#good !== undefined) return this.#good
    throw this.#refusal ?? new Refusal('invalid_agent_file', `${this.path}: not read`)
  }

  summary(): AgentSummary {
    this.#refresh()
    const known = this.#good && summarise(this.key, this.#good.file)
    const summary = known ?? { name: this.key, description: '', multi: false }
    return this.#refusal === undefined ? summary : { ...summary, error: this.#refusal.message }
  }

  #refresh(): void {
    if (this.#stamps.size > 0 && this.#unchanged()) return
    // Stamps are taken before reading: a change in between shows as a difference next time.
    const stamps = new Map([[this.path, stampOf(this.path)]])
    const onRead = (path: string): void => {
      stamps.set(path, stampOf(path))
    }
    this.#read = Date.now()
    try {
      const text = readText(this.path)
      const baseDir = dirname(this.path)
      const file = parseAgentFile(text, { origin: this.path, baseDir, onRead })
      const version = versionOf(text, file)
      if (version !== this.#good?.version) this.#good = { key: this.key, file, version, baseDir }
      this.#refusal = undefined
    } catch (error) {
      this.#refusal = refusalFor(this.path, error)
    }
    this.#stamps = stamps
  }

  #unchanged(): boolean {
    return [...this.#stamps].every(([path, stamp]) => stampOf(path) === stamp && !isYoung(stamp, this.#read))
  }
}

function refusalFor(path: string, error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (error instanceof Unreadable) return new Refusal('invalid_agent_file', `${path}: ${error.message}`)
  throw error
}

const missing = 'missing'

function stampOf(path: string): string {
  try {
    const stats = statSync(path, { bigint: true })
    return `${stats.mtimeNs}:${stats.ctimeNs}:${stats.size}:${stats.ino}`
  } catch {
    return missing // or out of reach, which is told when it is read
  }
}

function isYoung(stamp: string, read: number): boolean {
  return stamp !== missing && read - Number(BigInt(stamp.split(':')[0] ?? '0') / 1_000_000n) < youngMs
}
