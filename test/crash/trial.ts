import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { z } from 'zod'
import { type Started, start } from '../process.ts'
import { writeAgents } from './agents.ts'
import { checkFleet, checkGone, checkSession, checkSessions } from './check.ts'
import { type Answer, Client } from './client.ts'
import { Load } from './load.ts'
import { program } from './program.ts'
import type { Random } from './random.ts'
import { checkWorks, repeatKeyed } from './revive.ts'
import { settle } from './settle.ts'
import { Witness } from './witness.ts'
import { writtenBy } from './written.ts'

const Created = z.object({ id: z.string() })
const Readiness = z.object({ ready: z.boolean(), latest_error: z.string().optional() })
type Readiness = z.infer<typeof Readiness> & { readonly status: number }

/** Servers on one database, one after the other, under load, while something goes wrong. */
export class Trial {
  readonly folder: string
  readonly #random: Random
  readonly #witness = new Witness()
  readonly #load = new Load(this.#witness)
  #server: Started | undefined
  #working: Promise<unknown> = Promise.resolve()

  /** The folder must not exist. */
  constructor(folder: string, random: Random) {
    this.folder = folder
    this.#random = random
    mkdirSync(folder)
    writeAgents(join(folder, 'agents'))
  }

  get server(): Started {
    if (this.#server === undefined) throw new Error('no server was started')
    return this.#server
  }

  /** Starts a server, with options for Node before it, checks all that the ones before have told, and puts it under load. */
  async begin(options: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<void> {
    const flags = ['serve', 'agents', '--listen', '127.0.0.1:0', '--log-level', 'error', '--shutdown-grace', '4s']
    this.#server = start([...options, program, ...flags], { cwd: this.folder, env })
    const client = new Client(await this.server.url)
    await this.#check(client)
    this.#working = this.#load.run(client, this.#random)
    // Whoever waits for something else must not miss that a client saw what it must not see.
    this.#working.catch(() => {})
  }

  /** Ends the server and waits for its clients. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.server.kill(signal)
    const wanted = signal === 'SIGKILL' ? { code: null, signal } : { code: 0, signal: null }
    expect(await this.server.exit, 'how the server ended').toEqual(wanted)
    await this.#working
    expect(this.server.stderr(), 'what the server had to complain about').toBe('')
  }

  /** Resolves when the server has written so many bytes more. */
  async written(bytes: number): Promise<void> {
    const end = (writtenBy(this.server.pid) ?? 0) + bytes
    await expect.poll(() => writtenBy(this.server.pid), { timeout: 60_000 }).toBeGreaterThan(end)
  }

  async readiness(): Promise<Readiness> {
    const response = await fetch(`${await this.server.url}/ready`)
    return { status: response.status, ...Readiness.parse(await response.json()) }
  }

  /** Resolves when the server says that it takes work, or that it does not, and why. */
  async becomes(ready: boolean, because?: string): Promise<void> {
    const wanted = { status: ready ? 200 : 503, ready, ...(because === undefined ? {} : { latest_error: because }) }
    await expect.poll(() => this.readiness(), { timeout: 60_000, interval: 20 }).toMatchObject(wanted)
  }

  /** Asks for a session, and answers what came of it. */
  async create(): Promise<Answer> {
    const title = this.#witness.name('session')
    const answer = await new Client(await this.server.url).send('POST', '', { title })
    if (answer.outcome === 'accepted') this.#witness.created(Created.parse(JSON.parse(answer.text)).id, title)
    else this.#witness.createdPerhaps(title)
    return answer
  }

  /** Ends what is left; the files stay when they are evidence. */
  leave({ keep }: { readonly keep: boolean }): void {
    this.#server?.kill('SIGKILL')
    if (!keep) rmSync(this.folder, { recursive: true })
  }

  async #check(client: Client): Promise<void> {
    await checkSessions(client, this.#witness)
    await checkFleet(client, this.#witness)
    for (const session of this.#witness.sessions) {
      if (session.deletion === 'told') {
        await checkGone(client, session)
        continue
      }
      await settle(client, session)
      await checkSession(client, session)
      await repeatKeyed(client, session)
      await checkWorks(client, session, this.#witness.name('run'))
    }
  }
}
