import { z } from 'zod'
import { busyAgents } from './agents.ts'
import { type Answer, type Client, isAnswer, type Outcome, streamed } from './client.ts'
import type { Random } from './random.ts'
import { record } from './reader.ts'
import type { Said, SessionWitness, Told } from './session-witness.ts'
import type { Witness } from './witness.ts'

/** How often each thing is done, against the others. */
const weights = { create: 5, stream: 9, detach: 9, steer: 18, followUp: 18, retitle: 9, look: 9, cancel: 6, delete: 3 }

const Created = z.object({ id: z.string() })
export const Started = z.object({ run_id: z.string(), first_seq: z.number() })
const FollowUp = z.object({ duplicate: z.boolean() })
const Snapshot = z.object({
  last_event_seq: z.number(),
  messages: z
    .array(z.object({ partial: z.boolean().optional(), message: z.object({ content: z.string() }) }))
    .nullable(),
})

/** A client that does one thing after the other to sessions, whatever they and other clients are doing. */
export class Talker {
  readonly #client: Client
  readonly #witness: Witness
  readonly #random: Random
  readonly #onCreated: (session: SessionWitness) => void
  #serverIsGone = false

  constructor(client: Client, witness: Witness, random: Random, onCreated: (session: SessionWitness) => void) {
    this.#client = client
    this.#witness = witness
    this.#random = random
    this.#onCreated = onCreated
  }

  /** Talks to those of the sessions that are not deleted yet, until the server is gone. */
  async talk(sessions: readonly SessionWitness[]): Promise<void> {
    const acts: Readonly<Record<keyof typeof weights, (session: SessionWitness) => Promise<void>>> = {
      create: () => this.create(),
      stream: (session) => this.#stream(session),
      detach: (session) => this.#say(session, 'run', '/runs', { agent: this.#random.pick(busyAgents) }),
      steer: (session) => this.#say(session, 'steer', '/steer'),
      followUp: (session) => this.#say(session, 'followup', '/followup'),
      retitle: (session) => this.#retitle(session),
      look: (session) => this.#look(session),
      cancel: async (session) => {
        session.stopAsked = true
        await this.#send(session, 'POST', '/cancel', { reason: 'enough' })
      },
      delete: (session) => this.#delete(session),
    }
    while (!this.#serverIsGone) {
      const session = this.#random.pick(sessions.filter(({ deletion }) => deletion !== 'told'))
      if (session === undefined) await this.create()
      else await acts[this.#random.weighted(weights)](session)
    }
  }

  async create(): Promise<void> {
    const title = this.#witness.name('session')
    const { outcome, text } = this.#note(await this.#client.send('POST', '', { title }))
    const created = outcome === 'accepted' ? parse(Created, text) : undefined
    if (created !== undefined) this.#onCreated(this.#witness.created(created.id, title))
    else if (outcome !== 'refused') this.#witness.createdPerhaps(title)
  }

  /** A run whose stream is read to its end, or left, which cancels it. */
  async #stream(session: SessionWitness): Promise<void> {
    const text = this.#witness.name('run')
    const most = this.#random.chance(0.3) ? this.#random.between(1, 100) : Number.POSITIVE_INFINITY
    await session.say({ kind: 'run', text }, async () => {
      const path = `/${session.id}/agent/${this.#random.pick(busyAgents)}`
      const body = await this.#client.stream('POST', path, { body: { messages: [{ content: text }] } })
      if (isAnswer(body)) return this.#note(body, session)
      await record(session, body, { most })
      return streamed
    })
  }

  /** Often with a key, and then now and then twice at once, as a client does that has lost patience. */
  async #say(session: SessionWitness, kind: Said['kind'], path: string, more: object = {}): Promise<void> {
    const text = this.#witness.name(kind)
    const key = this.#random.chance(0.7) ? `key-of-${text.replaceAll(' ', '-')}` : undefined
    const times = key !== undefined && this.#random.chance(0.3) ? 2 : 1
    const body = { ...more, messages: [{ content: text }] }
    const keyed = key === undefined ? undefined : { path: `/${session.id}${path}`, body, key }
    await session.say({ kind, text, keyed }, async () => {
      const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key }
      const send = (): Promise<Answer> => this.#send(session, 'POST', path, body, headers)
      const answers = await Promise.all(Array.from({ length: times }, send))
      const taken = answers.flatMap(({ outcome, text }) => (outcome === 'accepted' && isWhole(text) ? [text] : []))
      const fresh = kind === 'followup' ? taken.filter((text) => parse(FollowUp, text)?.duplicate === false) : taken
      const most = kind === 'followup' ? fresh.length : new Set(fresh).size
      if (most > 1) throw new Error(`session ${session.id}: ${key} was taken twice: ${fresh}`)
      const best = bestOf(answers)
      const run = kind === 'run' ? parse(Started, best.text) : undefined
      if (run !== undefined) session.runs.push(run)
      return best
    })
  }

  async #retitle(session: SessionWitness): Promise<void> {
    const title = this.#witness.name('title')
    await session.retitle(title, () => this.#send(session, 'PATCH', '/title', { title }))
  }

  async #look(session: SessionWitness): Promise<void> {
    const { outcome, text } = await this.#send(session, 'GET', '/snapshot?messages=last:3')
    const told = outcome === 'accepted' ? toldBySnapshot(text) : undefined
    if (told !== undefined) session.snapshots.push(told)
  }

  async #delete(session: SessionWitness): Promise<void> {
    await session.delete(() => this.#send(session, 'DELETE', ''))
    if (session.deletion !== 'told') return
    const { outcome, text } = await this.#send(session, 'GET', '')
    if (outcome === 'accepted') throw new Error(`session ${session.id} was deleted, but it is there: ${text}`)
  }

  async #send(
    session: SessionWitness,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer> {
    return this.#note(await this.#client.send(method, `/${session.id}${path}`, body, headers), session)
  }

  #note(answer: Answer, session?: SessionWitness): Answer {
    if (answer.status === 0 || answer.text.includes('"shutting_down"')) this.#serverIsGone = true
    if (answer.text.includes('"unknown_session"')) session?.seeGone()
    return answer
  }
}

/** What several answers to the same thing amount to. */
function bestOf(answers: readonly Answer[]): Answer {
  const ranks: Readonly<Record<Outcome, number>> = { accepted: 0, unknown: 1, refused: 2 }
  return answers.reduce((best, answer) => (ranks[answer.outcome] < ranks[best.outcome] ? answer : best))
}

/** What the body of a snapshot tells, if it is whole. */
export function toldBySnapshot(text: string): Told | undefined {
  const snapshot = parse(Snapshot, text)
  if (snapshot === undefined) return undefined
  const last = snapshot.messages?.at(-1)
  return { seq: snapshot.last_event_seq, partial: last?.partial === true ? last.message.content : '' }
}

/** Whether an answer was not cut off. */
export function isWhole(text: string): boolean {
  return parse(z.unknown(), text) !== undefined
}

/** An answer may be cut off. */
export function parse<T extends z.ZodType>(shape: T, text: string): z.infer<T> | undefined {
  try {
    return shape.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
