import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { buildServer, type ServerOptions } from '../../src/server/server.ts'
import { SessionManager, type SessionManagerOptions } from '../../src/session-manager/session-manager.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import type { Store } from '../../src/store/store.ts'
import { breakable, type Fault } from './breakable-store.ts'
import { Client } from './client.ts'
import { TestAgents } from './test-agents.ts'

export interface BenchOptions {
  readonly server?: Partial<ServerOptions>
  readonly manager?: Partial<SessionManagerOptions>
  /** In memory when nothing is said. */
  readonly store?: Store
  /** False leaves the manager as it is before its start. */
  readonly started?: boolean
  /** Is done before the server listens. */
  readonly prepare?: (app: FastifyInstance) => void
  readonly headers?: Readonly<Record<string, string>>
}

const WithId = z.object({ id: z.string() })
const WithRunId = z.object({ run_id: z.string() })
const Requests = z.array(WithId)

/** A server on a port of its own, over a manager with test agents and a store in memory. */
export class Bench {
  readonly agents: TestAgents
  readonly manager: SessionManager
  readonly app: FastifyInstance
  readonly client: Client
  readonly breakStore: (fault: Fault | undefined) => void
  readonly #onClose: (() => void)[] = []

  static async open(options: BenchOptions = {}): Promise<Bench> {
    const { store, break: breakStore } = breakable(options.store ?? createMemoryStore())
    const agents = new TestAgents()
    const manager = new SessionManager({ store, agents, ...options.manager })
    if (options.started !== false) await manager.start()
    const app = await buildServer(manager, { version: '1.2.3', closeGraceMs: 50, ...options.server })
    options.prepare?.(app)
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    return new Bench({ agents, manager, app, client: new Client(url, options.headers), breakStore })
  }

  private constructor(parts: Pick<Bench, 'agents' | 'manager' | 'app' | 'client' | 'breakStore'>) {
    this.agents = parts.agents
    this.manager = parts.manager
    this.app = parts.app
    this.client = parts.client
    this.breakStore = parts.breakStore
    this.app.server.on('request', (_, response) =>
      response.once('close', () => {
        if (!response.writableFinished) for (const resolve of this.#onClose.splice(0)) resolve()
      }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agents.openGate()
    await this.app.close()
    await this.manager.close()
  }

  /** Resolves when the next answer that is under way has been left by its client. */
  nextClose(): Promise<void> {
    return new Promise((resolve) => this.#onClose.push(resolve))
  }

  /** Id of a new session. */
  async session(): Promise<string> {
    return (await this.manager.createSession()).id
  }

  /** Id of a session on which an agent runs, and the id of its run. */
  async running(agent: string): Promise<{ readonly id: string; readonly runId: string }> {
    const id = await this.session()
    const { body } = await this.client.call('startRun', {
      params: { id },
      body: { agent, messages: [{ content: 'go' }] },
    })
    return { id, runId: WithRunId.parse(body).run_id }
  }

  /** Id of a session on which an agent has run. */
  async ran(agent = 'echo'): Promise<{ readonly id: string; readonly runId: string }> {
    const { id, runId } = await this.running(agent)
    await this.manager.waitStopped(id, 60_000)
    return { id, runId }
  }

  /** Id of a session whose run waits for a person, and the id of what it asks. */
  async asking(agent: 'asker' | 'elicitor'): Promise<{ readonly id: string; readonly requestId: string }> {
    const { id } = await this.running(agent)
    const opened = await this.client.open('getEvents', {
      params: { id },
      query: { types: 'request_opened', wait: '1m' },
      headers: { accept: 'application/json' },
    })
    await opened.text()
    const [request] = Requests.parse((await this.client.call('listRequests', { params: { id } })).body)
    return { id, requestId: request?.id ?? '' }
  }
}
