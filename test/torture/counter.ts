import { appendFileSync, readFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { z } from 'zod'
import type { Random } from '../crash/random.ts'
import { type Counters, readToken } from './agents.ts'
import { must } from './complaint.ts'

const Address = z.object({ port: z.number() })

/** The longest that a page keeps its reader waiting. */
const slowestMs = 120

/** Counts, outside of the server, how often each call of a tool took effect: by lines of a file and by requests of pages. */
export class Counter implements Counters {
  readonly file: string
  readonly #random: Random
  readonly #server: Server
  readonly #fetched = new Map<string, number>()
  #port = 0

  private constructor(folder: string, random: Random) {
    this.file = join(folder, 'effects.txt')
    this.#random = random
    appendFileSync(this.file, '')
    this.#server = createServer((request, response) => this.#serve(request.url?.slice(1) ?? '', response))
  }

  static async open(folder: string, random: Random): Promise<Counter> {
    const counter = new Counter(folder, random)
    await new Promise<void>((done) => counter.#server.listen(0, '127.0.0.1', done))
    counter.#port = Address.parse(counter.#server.address()).port
    return counter
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** How often each token took effect until now. Complains of what must not happen twice. */
  read(): ReadonlyMap<string, number> {
    const counts = new Map(this.#fetched)
    for (const token of readFileSync(this.file, 'utf8').split('\n').slice(0, -1)) {
      counts.set(token, (counts.get(token) ?? 0) + 1)
    }
    for (const [token, count] of counts) {
      const read = readToken(token)
      must(read !== undefined, `"${token}" took effect, which no model asked for`)
      must(
        read.kind.rule === 'safe' || count === 1,
        `the call ${token}, never to be repeated, took effect ${count} times`,
      )
    }
    return counts
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #serve(token: string, response: ServerResponse): void {
    if (token === 'robots.txt') {
      response.writeHead(404).end()
      return
    }
    this.#fetched.set(token, (this.#fetched.get(token) ?? 0) + 1)
    setTimeout(() => response.end(`page ${token}`), this.#random.between(0, slowestMs))
  }
}
