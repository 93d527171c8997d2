import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import type { Workbench } from './bench.ts'
import { Role } from './role.ts'

const Created = z.object({ id: z.string() })

interface HouseOptions {
  /** An agent file, as what would stand in its YAML. */
  readonly agent: unknown
  /** More of the command line. */
  readonly options?: readonly string[]
  /** What requests must bear; without it nobody is asked. */
  readonly token?: string
}

/** The server as people run it, as a process of its own with a database on disk. */
export class House {
  readonly role: Role
  readonly url: string
  readonly #headers: Readonly<Record<string, string>>

  private constructor(role: Role, url: string, token: string | undefined) {
    this.role = role
    this.url = url
    this.#headers = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  }

  /** Starts one for the time of a bench. Its agent is called `agent`. */
  static async open({ stage, profile }: Workbench, { agent, options = [], token }: HouseOptions): Promise<House> {
    const folder = temporaryFolder(stage)
    const file = join(folder, 'agent.yaml')
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(agent))
    const args = ['serve', file, '--listen', '127.0.0.1:0', '--session-db', join(folder, 'sessions.db')]
    const quiet = ['--log-level', 'error', '--working-dir', folder]
    const guarded = token === undefined ? [] : ['--auth-token', token]
    const role = stage.use(new Role('dist/main.js', [...args, ...quiet, ...guarded, ...options], { profile }))
    return new House(role, await role.url, token)
  }

  /** Creates a session and answers its id. It has a title, so that no model call makes one. */
  async createSession(): Promise<string> {
    const answer = await this.post('/api/sessions', { title: 'a bench' })
    return Created.parse(await answer.json()).id
  }

  /** Rejects when the server refuses. */
  get(path: string): Promise<Response> {
    return this.#fetch(path, { headers: this.#headers })
  }

  /** Rejects when the server refuses. */
  post(path: string, body: unknown): Promise<Response> {
    const headers = { ...this.#headers, 'Content-Type': 'application/json' }
    return this.#fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const response = await fetch(this.url + path, init)
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return response
  }
}

/** A folder that is removed with the bench. */
export function temporaryFolder(stage: AsyncDisposableStack): string {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-bench-'))
  stage.defer(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
