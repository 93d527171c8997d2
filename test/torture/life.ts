import { resolve } from 'node:path'
import type { Random } from '../crash/random.ts'
import { type Started, start } from '../process.ts'
import { lifeVariable } from './agents.ts'
import { Client } from './client.ts'
import { must } from './complaint.ts'
import type { Reader } from './reader.ts'
import type { SessionDiary } from './session-diary.ts'
import type { Stage } from './voice.ts'
import { Wire } from './wire.ts'

const clients = 4
const newSessions = 1

export interface LifeOptions {
  /** The main file of the built program. */
  readonly program: string
  readonly folder: string
  /** Unlike that of every other process. */
  readonly name: string
  readonly flags: readonly string[]
}

/** One process of the server, from its start to its end. */
export class Life {
  readonly name: string
  readonly #server: Started
  readonly #over = new AbortController()
  #wire: Wire | undefined
  #reading: Promise<void>[] = []

  constructor({ program, folder, name, flags }: LifeOptions) {
    this.name = name
    const args = [resolve(program), 'serve', 'agents', '--listen', '127.0.0.1:0', '--log-level', 'error', ...flags]
    this.#server = start(args, { cwd: folder, env: { [lifeVariable]: name } })
    void this.#server.exit.then(() => this.#over.abort())
  }

  get pid(): number {
    return this.#server.pid
  }

  /** Speaks to it once it listens; `undefined` when it ended before. */
  async listening(): Promise<Wire | undefined> {
    const url = await this.#server.url.catch(() => undefined)
    if (url !== undefined) this.#wire ??= new Wire(url)
    return this.#wire
  }

  get wire(): Wire {
    must(this.#wire !== undefined, 'the server does not listen')
    return this.#wire
  }

  kill(signal: NodeJS.Signals): void {
    this.#server.kill(signal)
  }

  cutAll(): void {
    this.#wire?.cutAll()
  }

  /** Aborted when it has ended. */
  get over(): AbortSignal {
    return this.#over.signal
  }

  /** Lets a reader read on until the end. */
  read(reader: Reader, random: Random): void {
    const reading = reader.follow(this.wire, random, this.over)
    // Whoever waits for something else must not miss what a reader must not see.
    reading.catch(() => {})
    this.#reading.push(reading)
  }

  /** Many clients at once. Resolves when the server is gone and everybody has noticed. */
  async load(stage: Stage, cast: readonly SessionDiary[]): Promise<void> {
    const crew = Array.from({ length: clients }, () => new Client(stage))
    await Promise.all(crew.slice(0, newSessions).map((client) => client.create()))
    await Promise.all(crew.map((client) => client.work(cast)))
  }

  /** Waits for the end, which must be in order unless it was killed, and for the readers. */
  async ended(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { code, signal: by } = await this.#server.exit
    const wanted = signal === 'SIGKILL' ? by === 'SIGKILL' : code === 0
    must(wanted, `the server ended with code ${code} and signal ${by} after ${signal}\n${this.#server.stderr()}`)
    must(this.#server.stderr() === '', `the server complained: ${this.#server.stderr()}`)
    await Promise.all(this.#reading)
  }

  stderr(): string {
    return this.#server.stderr()
  }
}
