import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { vi } from 'vitest'
import { z } from 'zod'
import { type App, createApp } from '../../src/app.ts'
import { parseConfig, type Settings } from '../../src/config.ts'
import { EventPage, type ForeignEvent, Snapshot } from '../../src/protocol/protocol.ts'
import { Client } from '../server/client.ts'
import { makeTempDir } from '../store/temp-dir.ts'

// Whole servers and processes start here, perhaps on a machine that has much else to do.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

export interface HouseOptions {
  /** Agent files by source: what is written to `<source>.yaml`. */
  readonly files: Readonly<Record<string, string>>
  readonly settings?: Partial<Settings>
  /** What agents and models see of the environment. */
  readonly variables?: Readonly<Record<string, string>>
}

/** The whole application, as `main` starts it, on a database file in a directory of its own. */
export class House {
  readonly database: string
  readonly #options: HouseOptions
  readonly #dir: string
  readonly #remove: () => void
  #app: App | undefined
  #client = new Client('')

  static async open(options: HouseOptions): Promise<House> {
    const house = new House(options)
    await house.#start()
    return house
  }

  private constructor(options: HouseOptions) {
    const { path, remove } = makeTempDir()
    this.#options = options
    this.#dir = path
    this.#remove = remove
    this.database = join(path, 'sessions.db')
    mkdirSync(this.agents)
    for (const [source, text] of Object.entries(options.files)) this.write(source, text)
  }

  /** The directory of the agent files. */
  get agents(): string {
    return join(this.#dir, 'agents')
  }

  /** Writes an agent file, new or changed. */
  write(source: string, text: string): void {
    writeFileSync(join(this.agents, `${source}.yaml`), text)
  }

  /** Ends the application in order, and leaves its files. */
  async close(): Promise<void> {
    await this.#app?.close()
  }

  get client(): Client {
    return this.#client
  }

  get url(): string {
    return this.#client.url
  }

  /** Ends the application in order and starts it again on the same file. */
  async restart(): Promise<void> {
    await this.#app?.close()
    await this.#start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app?.close()
    this.#remove()
  }

  async #start(): Promise<void> {
    const config = parseConfig({
      source: this.agents,
      listen: '127.0.0.1:0',
      sessionDb: this.database,
      shutdownGrace: '2s',
      ...this.#options.settings,
    })
    this.#app = await createApp(config, {
      logger: pino({ level: 'silent' }),
      variables: this.#options.variables ?? {},
    })
    this.#client = new Client(await this.#app.listen())
  }
}

const WithId = z.object({ id: z.string() })

/** Creates a session and returns its id. */
export async function createSession(client: Client, template: object = {}): Promise<string> {
  return WithId.parse((await client.call('createSession', { body: template })).body).id
}

const WithRunId = z.object({ run_id: z.string() })

/** Starts a run that no connection is bound to and returns its id. */
export async function startRun(client: Client, id: string, agent: string, text = 'go on'): Promise<string> {
  const body = { agent, messages: [user(text)] }
  return WithRunId.parse((await client.call('startRun', { params: { id }, body })).body).run_id
}

export async function snapshotOf(client: Client, id: string): Promise<Snapshot> {
  return Snapshot.parse((await client.call('getSnapshot', { params: { id } })).body)
}

export const user = (content: string) => ({ role: 'user', content })

/** An agent file whose model is scripted: one list of steps for each turn. */
export function scripted(...turns: readonly (readonly object[])[]): string {
  return JSON.stringify({
    models: { scripted: { provider: 'scripted', model: 'test', provider_opts: { script: turns } } },
    agents: { root: { model: 'scripted', instruction: 'Play the script.' } },
  })
}

/** All events of a session as they are now. */
export async function logOf(client: Client, id: string): Promise<readonly ForeignEvent[]> {
  const { body } = await client.call('getEvents', {
    params: { id },
    query: { limit: '1000' },
    headers: { accept: 'application/json' },
  })
  return EventPage.parse(body).events.map(({ event }) => event)
}
