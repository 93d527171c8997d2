import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { Run } from '../../src/protocol/protocol.ts'
import { QueueActs } from './queue-acts.ts'
import { RunActs } from './run-acts.ts'
import type { SessionDiary } from './session-diary.ts'
import { type Stage, Voice } from './voice.ts'
import { type Answer, parsed } from './wire.ts'

/** How often each thing is done, against the others. */
const weights = {
  create: 2,
  run: 16,
  steer: 5,
  followUp: 7,
  queue: 12,
  repeat: 14,
  answer: 16,
  set: 6,
  look: 3,
  cancel: 3,
  delete: 1,
}

/** The longest that a client thinks before it does the next thing. */
const longestThoughtMs = 25

const Created = z.object({ id: z.string() })
const Stopped = z.object({ run: Run.optional() })

/** A client that does one thing after the other to sessions, whatever they and other clients are doing. */
export class Client {
  readonly #stage: Stage
  readonly #voice: Voice
  readonly #runs: RunActs
  readonly #queue: QueueActs

  constructor(stage: Stage) {
    this.#stage = stage
    this.#voice = new Voice(stage)
    this.#runs = new RunActs(stage, this.#voice)
    this.#queue = new QueueActs(stage, this.#voice)
  }

  /** Works with those of the sessions that are not deleted yet, until the server is gone or says that it goes. */
  async work(sessions: readonly SessionDiary[]): Promise<void> {
    const acts: Readonly<Record<keyof typeof weights, (session: SessionDiary) => Promise<unknown>>> = {
      create: () => this.create(),
      run: (session) => this.#runs.run(session),
      steer: (session) => this.#queue.add(session, 'steer'),
      followUp: (session) => this.#queue.add(session, 'followup'),
      queue: () => this.#changeQueue(sessions),
      repeat: () => this.#repeat(sessions),
      answer: () => this.#answer(sessions),
      set: (session) => this.#set(session),
      look: (session) => this.#look(session, '/snapshot?messages=last:3'),
      cancel: (session) => this.#cancel(session),
      delete: (session) => this.#delete(session),
    }
    const { random, over } = this.#stage
    while (!over.aborted && !this.#voice.isDismissed) {
      const session = random.pick(sessions.filter(({ deletion }) => deletion !== 'told'))
      if (session === undefined) await this.create()
      else await acts[random.weighted(weights)](session)
      await delay(random.between(0, longestThoughtMs))
    }
  }

  /** Makes a session, or asks again for one that nobody has told of. */
  async create(): Promise<void> {
    const { diary, wire, random, onCreated } = this.#stage
    const lost = random.chance(0.5) ? diary.takeLost() : undefined
    const { title, key } = lost ?? { title: diary.name('session'), key: this.#voice.key() }
    const { outcome, text } = this.#voice.hear(await wire.send('POST', '/sessions', this.#voice.ask({ title }, key)))
    const created = outcome === 'accepted' ? parsed(Created, text) : undefined
    if (created !== undefined) onCreated(diary.created(created.id, title))
    else if (lost !== undefined || outcome !== 'refused') diary.createdPerhaps({ title, key })
  }

  /** A brief run, read to its end. */
  finish(session: SessionDiary): Promise<Answer> {
    return this.#runs.finish(session)
  }

  /** Lets go of every message that a client holds. */
  release(session: SessionDiary): Promise<void> {
    return this.#queue.release(session)
  }

  async #repeat(sessions: readonly SessionDiary[]): Promise<void> {
    const { random } = this.#stage
    const session = random.pick(sessions.filter(({ keyed, deletion }) => keyed.length > 0 && deletion !== 'told'))
    if (session !== undefined) await random.pick(session.keyed.slice(-12))?.repeat(session)
  }

  async #changeQueue(sessions: readonly SessionDiary[]): Promise<void> {
    const session = this.#stage.random.pick(sessions.filter(({ queue }) => queue.size > 0))
    if (session !== undefined) await this.#queue.change(session)
  }

  /** Answers one open question in one way or another, now and then twice at once, as two people would. */
  async #answer(sessions: readonly SessionDiary[]): Promise<void> {
    const { random } = this.#stage
    const session = random.pick(sessions.filter(({ open }) => open.size > 0))
    const id = session && random.pick([...session.open.keys()])
    if (session === undefined || id === undefined) return
    const people = random.chance(0.25) ? 2 : 1
    await Promise.all(Array.from({ length: people }, () => this.judge(session, id, random.chance(0.75))))
  }

  /** Answers one question, on either of its routes. */
  async judge(session: SessionDiary, requestId: string, approve: boolean): Promise<void> {
    const kind = session.open.get(requestId)?.content.kind
    if (kind === undefined) return
    const { diary, random } = this.#stage
    const name = diary.name(approve ? 'yes' : 'no')
    const isForm = kind === 'elicitation'
    const answer = isForm
      ? { action: approve ? 'accept' : 'decline', content: { tag: name } }
      : { confirmation: approve ? 'approve' : 'reject', reason: name }
    // What was entered into a form that is declined is told to nobody.
    const verdict = session.judge(requestId, isForm && !approve ? 'decline' : name)
    const own = random.chance(0.5)
    const path = own ? `/requests/${requestId}/answer` : isForm ? '/elicitation' : '/resume'
    const body = own ? answer : { ...answer, request_id: requestId }
    await this.#voice.change(session, 'POST', path, body, (told) => session.decide(verdict, told))
  }

  async #set(session: SessionDiary): Promise<void> {
    const { diary, random } = this.#stage
    const name = diary.name('set')
    const starred = random.chance(0.5)
    const patch = (path: string, body: unknown) => this.#voice.change(session, 'PATCH', path, body)
    const acts = {
      title: () => session.title.set(name, () => patch('/title', { title: name })),
      star: () => session.starred.set(starred, () => patch('/starred', { starred })),
      allow: () => session.allowed.set(name, () => patch('/permissions', { permissions: { allow: [name] } })),
    }
    session.note(`sets ${name} or ${starred}`)
    await random.pick(Object.values(acts))?.()
  }

  async #cancel(session: SessionDiary): Promise<void> {
    const { random } = this.#stage
    const wait = random.pick(['0s', '5ms', '10s'])
    const run_id = random.chance(0.5) ? session.running : undefined
    const stop = { outcome: 'unknown' as const, status: 0, run: undefined }
    const place = session.stops.push(stop) - 1
    const body = { run_id, reason: 'enough' }
    const { outcome, status, text } = await this.#voice.change(session, 'POST', `/cancel?wait=${wait}`, body)
    session.stops[place] = { outcome, status, run: parsed(Stopped, text)?.run }
    session.note(`cancel of ${run_id} waits ${wait}: ${status} ${text}`)
  }

  async #delete(session: SessionDiary): Promise<void> {
    const path = this.#stage.random.chance(0.5) ? '' : '?wait=true'
    await session.delete(() => this.#voice.change(session, 'DELETE', path))
    if (session.deletion !== 'told') return
    const { outcome, text } = await this.#look(session, '')
    if (outcome === 'accepted') throw session.complaint(`it was deleted, but it is there: ${text}`)
    await session.keyed.at(-1)?.repeat(session)
  }

  async #look({ id }: SessionDiary, path: string): Promise<Answer> {
    return this.#voice.hear(await this.#stage.wire.send('GET', `/sessions/${id}${path}`))
  }
}
