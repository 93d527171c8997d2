import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Recovery } from '../../src/protocol/protocol.ts'
import { type Started, start } from '../process.ts'
import { writeAgents } from './agents.ts'
import { checkFleet, checkGone, checkResume, checkSession, checkSessions } from './check.ts'
import { Client } from './client.ts'
import type { Figures } from './figures.ts'
import { killAt } from './kill.ts'
import { Load } from './load.ts'
import { program } from './program.ts'
import { Random } from './random.ts'
import { checkWorks, repeatKeyed } from './revive.ts'
import type { SessionWitness } from './session-witness.ts'
import { settle } from './settle.ts'
import { Witness } from './witness.ts'
import { endsInTransaction } from './write-ahead-log.ts'
import { writtenBy } from './written.ts'

/** At most what a server writes until it listens, and in a round of load. */
const bytes = { start: 120_000, load: 3_000_000 } as const

export interface RoundsOptions {
  /** Must not exist. */
  readonly folder: string
  readonly seed: number
  readonly signal: 'SIGKILL' | 'SIGTERM'
  /** Whether runs go on in the next server. */
  readonly recovery: Recovery
  readonly figures: Figures
}

/**
 * Servers on one database file, one after the other. Each first answers for what its predecessors told, then works under load
 * until the signal comes, at a random byte that it writes.
 */
export class Rounds {
  readonly #options: RoundsOptions
  readonly #random: Random
  readonly #witness = new Witness()
  readonly #load = new Load(this.#witness)
  /** Sessions that were talked to since they were checked. */
  #touched = new Set<SessionWitness>()
  /** How each server ended. */
  readonly #story: string[] = []

  constructor(options: RoundsOptions) {
    this.#options = options
    this.#random = new Random(options.seed)
    mkdirSync(options.folder)
    writeAgents(join(options.folder, 'agents'))
  }

  /**
   * Plays so many rounds under load, and then checks every session that there ever was. Rejects with the seed, the rounds and
   * the evidence.
   */
  async play(rounds: number): Promise<void> {
    const servers: Started[] = []
    try {
      for (let played = 0; played < rounds; ) if (await this.#round(this.#start(servers))) played += 1
      await this.#last(this.#start(servers))
    } catch (cause) {
      const { seed, folder } = this.#options
      const story = [`seed ${seed}`, ...this.#story, servers.at(-1)?.stderr(), folder].join('\n')
      throw new Error(`${cause instanceof Error ? cause.message : cause}\n${story}`, { cause })
    } finally {
      servers.at(-1)?.kill('SIGKILL')
    }
  }

  #start(servers: Started[]): Started {
    const args = ['--listen', '127.0.0.1:0', '--log-level', 'error', '--shutdown-grace', '4s']
    const recovery = ['--recovery', this.#options.recovery]
    const server = start([program, 'serve', 'agents', ...args, ...recovery], { cwd: this.#options.folder })
    servers.push(server)
    return server
  }

  /** Answers whether the server lived to see any load. */
  async #round(server: Started): Promise<boolean> {
    const { figures, signal } = this.#options
    const atStart = signal === 'SIGKILL' && this.#random.chance(0.15)
    let killed = atStart ? this.#killAt(server, this.#random.between(1, bytes.start)) : undefined
    const url = await server.url.catch(() => undefined)
    if (url === undefined) figures.endedAtStart += 1
    else {
      figures.rounds += 1
      const client = new Client(url)
      if (!atStart) await this.#check(client)
      killed ??= this.#killAt(server, (writtenBy(server.pid) ?? 0) + this.#random.between(1, bytes.load))
      for (const session of await this.#load.run(client, this.#random)) this.#touched.add(session)
      figures.requests += client.requests
      figures.unanswered += client.unanswered
    }
    await killed
    await this.#ended(server)
    return url !== undefined
  }

  async #killAt({ pid }: Started, bytes: number): Promise<void> {
    const { signal } = this.#options
    const inTransaction = this.#random.chance(0.5)
    this.#story.push(`${signal} is due at byte ${bytes}${inTransaction ? ', in a transaction' : ''}`)
    this.#story.push(`${signal} came after ${await killAt(pid, { signal, bytes, inTransaction })} bytes`)
  }

  async #ended(server: Started): Promise<void> {
    const { folder, figures, signal } = this.#options
    const wanted = signal === 'SIGKILL' ? { code: null, signal } : { code: 0, signal: null }
    expect(await server.exit, 'how the server ended').toEqual(wanted)
    expect(server.stderr(), 'what the server had to complain about').toBe('')
    const log = join(folder, 'quarterdeck.db-wal')
    if (existsSync(log) && endsInTransaction(log)) figures.endedInTransaction += 1
  }

  /** Checks what the rounds since the last check have touched; half of it is put to work again. */
  async #check(client: Client): Promise<void> {
    await checkSessions(client, this.#witness)
    await checkFleet(client, this.#witness)
    const touched = [...this.#touched]
    this.#touched = new Set()
    await Promise.all(touched.map((session) => this.#checkOne(client, session, this.#random.chance(0.5))))
  }

  async #last(server: Started): Promise<void> {
    const { figures } = this.#options
    const client = new Client(await server.url)
    await checkSessions(client, this.#witness)
    await checkFleet(client, this.#witness)
    for (const session of this.#witness.sessions) await this.#checkOne(client, session, true)
    for (const { frames } of this.#witness.sessions) {
      figures.sessions += 1
      figures.frames += frames.size
      for (const frame of frames.values()) {
        if (isInterruption(frame)) figures.interruptedRuns += 1
        if (isRecovery(frame)) figures.recoveries += 1
      }
    }
    server.kill('SIGTERM')
    expect(await server.exit, 'how the server ended').toEqual({ code: 0, signal: null })
  }

  async #checkOne(client: Client, session: SessionWitness, atWork: boolean): Promise<void> {
    if (session.deletion === 'told') {
      await checkGone(client, session)
      return
    }
    const { recovery } = this.#options
    await settle(client, session, recovery)
    await checkSession(client, session, recovery)
    for (const reader of this.#load.readers) {
      if (reader.session === session) await checkResume(client, session, reader.cursor)
    }
    if (!atWork) return
    await repeatKeyed(client, session)
    await checkWorks(client, session, this.#witness.name('run'), recovery)
  }
}

function isInterruption(frame: string): boolean {
  return frame.includes('"type":"stream_stopped","reason":"interrupted"')
}

function isRecovery(frame: string): boolean {
  return frame.includes('"type":"run_recovered"')
}
