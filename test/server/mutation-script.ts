import { expect } from 'vitest'
import { z } from 'zod'
import type { EndpointName } from '../../src/protocol/protocol.ts'
import type { Random } from '../crash/random.ts'
import type { Answer, Request } from './client.ts'

/** The world that a script changes, by whatever way. */
export interface World {
  /** Sends a request until it is answered. */
  call(name: EndpointName, request: Request): Promise<Answer>
  /** Resolves when no run of the session goes on. */
  rest(id: string): Promise<void>
  /** Resolves when the session asks a person something. */
  asked(id: string): Promise<void>
}

interface Known {
  readonly id: string
  hasRun: boolean
  steered: number
  /** Ids of messages that users said, in order. */
  said: readonly string[]
}

const WithId = z.object({ id: z.string() })
const Said = z.array(z.object({ id: z.string(), message: z.object({ role: z.string() }) }))
const policies = ['strict', 'balanced', 'autonomous', ''] as const

/** A random script of mutations that a server accepts one and all; the same numbers make the same script. */
export class MutationScript {
  readonly #random: Random
  readonly #world: World
  /** Every session that ever was, in the order of their creation. */
  readonly ids: string[] = []
  #alive: Known[] = []
  #counter = 0

  constructor(random: Random, world: World) {
    this.#random = random
    this.#world = world
  }

  async play(steps: number): Promise<void> {
    await this.#create()
    for (let step = 0; step < steps; step += 1) {
      const session = this.#random.pick(this.#alive)
      const [, act] = this.#random.pick(Object.entries(this.#acts)) ?? []
      if (session === undefined) await this.#create()
      else await act?.(session)
      for (const { id } of this.#alive) await this.#world.rest(id)
      for (const one of this.#alive) await this.#look(one)
    }
  }

  readonly #acts: Readonly<Record<string, (session: Known) => Promise<unknown>>> = {
    create: () => this.#create(),
    title: (to) => this.#change('setTitle', to, { title: this.#text() }),
    star: (to) => this.#change('setStarred', to, { starred: this.#random.chance(0.5) }),
    policy: (to) => this.#change('setSafetyPolicy', to, { safety_policy: this.#random.pick(policies) }),
    allow: (to) => this.#change('setPermissions', to, { permissions: { allow: [this.#text()] } }),
    toggle: (to) => this.#change('toggleApproval', to),
    tokens: (to) => this.#change('setTokens', to, { input_tokens: this.#random.between(0, 99), output_tokens: 1 }),
    budget: (to) => this.#change('setBudget', to, { max_tokens: this.#random.between(1_000_000, 2_000_000) }),
    say: (to) => this.#change('addMessage', to, message('user', this.#text())),
    summarise: (to) => this.#change('addSummary', to, { summary: this.#text() }),
    edit: async (to) => {
      const msg_id = this.#random.pick(to.said)
      const body = message('user', this.#text())
      if (msg_id !== undefined) await this.#call('updateMessage', { params: { id: to.id, msg_id }, body })
    },
    fork: async (to) => {
      if (to.said.length === 0) return
      const user_message_index = this.#random.between(0, to.said.length - 1)
      this.#add(await this.#change('forkSession', to, { user_message_index }))
    },
    stream: async (to) => {
      const params = { id: to.id, agent: 'echo', agent_name: 'root' }
      const name = this.#random.chance(0.5) ? 'streamRun' : 'streamNamedRun'
      // As all runs are that are asked for with a key.
      const query = { on_disconnect: 'continue' }
      await this.#call(name, { params, query, body: { messages: [{ content: this.#text() }] } })
      ran(to)
    },
    start: (to) => this.#start(to, 'echo'),
    compact: async (to) => to.hasRun && this.#change('compact', to, {}),
    cancel: (to) => this.#interrupted(to, 'gated', () => this.#change('cancelRun', to, { reason: this.#text() })),
    followUp: async (to) => {
      if (!to.hasRun) return
      await this.#change('followUp', to, { messages: [{ content: this.#text() }] })
      ran(to)
    },
    steer: async (to) => {
      if (!to.hasRun || to.steered === 5) return
      await this.#change('steer', to, { messages: [{ content: this.#text() }] })
      to.steered += 1
    },
    approve: (to) =>
      this.#interrupted(to, 'asker', async () => {
        await this.#world.asked(to.id)
        await this.#change('resume', to, { confirmation: this.#random.pick(['approve', 'approve-tool', 'reject']) })
      }),
    answer: (to) =>
      this.#interrupted(to, 'elicitor', async () => {
        await this.#world.asked(to.id)
        await this.#change('answerElicitation', to, { action: 'accept', content: { name: this.#text() } })
      }),
    delete: async (to) => {
      if (this.#alive.length < 3) return
      await this.#change('deleteSession', to)
      this.#forget([to.id])
    },
    deleteMany: async (to) => {
      const other = this.#random.pick(this.#alive.filter((one) => one !== to))
      if (this.#alive.length < 4 || other === undefined) return
      const session_ids = [to.id, 'none', other.id]
      const { body } = await this.#call('batchDelete', { body: { session_ids } })
      expect(body).toEqual({ deleted_count: 2, failed_count: 1, failed_ids: ['none'] })
      this.#forget(session_ids)
    },
  }

  async #create(): Promise<void> {
    this.#add(await this.#call('createSession', { body: { title: this.#text() } }))
  }

  async #start(to: Known, agent: string): Promise<void> {
    await this.#change('startRun', to, { agent, messages: [{ content: this.#text() }] })
    ran(to)
  }

  /** A run that does not end by itself, and after it one that does: what waits is for the agent that ran last. */
  async #interrupted(to: Known, agent: string, end: () => Promise<unknown>): Promise<void> {
    if (to.steered > 0) return
    await this.#start(to, agent)
    await end()
    await this.#world.rest(to.id)
    await this.#start(to, 'echo')
  }

  #change(name: EndpointName, { id }: Known, body?: unknown): Promise<Answer> {
    return this.#call(name, { params: { id }, ...(body === undefined ? {} : { body }) })
  }

  async #call(name: EndpointName, request: Request): Promise<Answer> {
    const answer = await this.#world.call(name, request)
    expect(answer.code, `${name} ${JSON.stringify([request, answer.body])}`).toBeUndefined()
    return answer
  }

  #add({ body }: Answer): void {
    const { id } = WithId.parse(body)
    this.ids.push(id)
    this.#alive.push({ id, hasRun: false, steered: 0, said: [] })
  }

  #forget(ids: readonly string[]): void {
    this.#alive = this.#alive.filter(({ id }) => !ids.includes(id))
  }

  async #look(session: Known): Promise<void> {
    const { body } = await this.#world.call('listMessages', { params: { id: session.id } })
    session.said = Said.parse(body).flatMap(({ id, message }) => (message.role === 'user' ? [id] : []))
  }

  #text(): string {
    this.#counter += 1
    return `text ${this.#counter}`
  }
}

function ran(session: Known): void {
  session.hasRun = true
  session.steered = 0
}

function message(role: string, content: string): unknown {
  return { message: { agent_name: '', message: { role, content } } }
}
