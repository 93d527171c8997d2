import { readdirSync, statSync } from 'node:fs'
import { join, parse } from 'node:path'
import { type AgentSummary, Refusal } from '../protocol/protocol.ts'
import type { AgentSources, LoadedAgentFile } from './agent-sources.ts'
import { LocalFile } from './local-file.ts'

export const hclRefused = 'agent files in HCL are not supported: write it as YAML'

/** The key a file is served under: its base name without the extension. */
export function keyOf(path: string): string {
  return parse(path).name
}

export function unknownAgent(key: string): Refusal {
  return new Refusal('unknown_agent', `there is no agent called "${key}"`)
}

/** A source that is one file. It must be usable when it is created. */
export class FileSource implements AgentSources {
  readonly #file: LocalFile

  constructor(path: string) {
    this.#file = new LocalFile(keyOf(path), path)
    this.#file.load()
  }

  list(): readonly AgentSummary[] {
    return [this.#file.summary()]
  }

  get(key: string): LoadedAgentFile {
    if (key !== this.#file.key) throw unknownAgent(key)
    return this.#file.load()
  }

  async refresh(): Promise<void> {}

  async close(): Promise<void> {}
}

/** A source that is a directory: every YAML file directly inside, whenever it appears. */
export class DirectorySource implements AgentSources {
  readonly #directory: string
  #files: ReadonlyMap<string, LocalFile> = new Map()
  #refused: ReadonlyMap<string, string> = new Map()

  constructor(directory: string) {
    this.#directory = directory
    this.#scan()
  }

  list(): readonly AgentSummary[] {
    this.#scan()
    const refused = [...this.#refused].map(([name, error]) => ({ name, description: '', multi: false, error }))
    const summaries = [...this.#files.values()].map((file) => file.summary())
    return [...summaries, ...refused].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  }

  get(key: string): LoadedAgentFile {
    this.#scan()
    const file = this.#files.get(key)
    if (file !== undefined) return file.load()
    const error = this.#refused.get(key)
    throw error === undefined ? unknownAgent(key) : new Refusal('invalid_agent_file', `${key}: ${error}`)
  }

  async refresh(): Promise<void> {}

  async close(): Promise<void> {}

  #scan(): void {
    const files = new Map<string, LocalFile>()
    const refused = new Map<string, string>()
    const names = namesIn(this.#directory)
    for (const name of names.filter((name) => /\.ya?ml$/i.test(name))) {
      const key = keyOf(name)
      const holder = files.get(key)
      const known = this.#files.get(key)
      const path = join(this.#directory, name)
      if (holder !== undefined) refused.set(name, `${parse(holder.path).base} has the same name and is served`)
      else files.set(key, known?.path === path ? known : new LocalFile(key, path))
    }
    for (const name of names.filter((name) => /\.hcl$/i.test(name))) {
      refused.set(files.has(keyOf(name)) ? name : keyOf(name), hclRefused)
    }
    this.#files = files
    this.#refused = refused
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile() || (entry.isSymbolicLink() && isFile(directory, entry.name)))
    return files.map((entry) => entry.name).sort()
  } catch (cause) {
    throw new Refusal('agent_source_unavailable', `the directory ${directory} cannot be read`, { cause })
  }
}

function isFile(directory: string, name: string): boolean {
  return statSync(join(directory, name), { throwIfNoEntry: false })?.isFile() ?? false
}
