import { setTimeout as delay } from 'node:timers/promises'
import { z } from 'zod'
import { FollowUpAnswer, Run } from '../../src/protocol/protocol.ts'
import type { Random } from '../crash/random.ts'
import { agentWeights } from './agents.ts'
import type { Diary } from './diary.ts'
import { record } from './reader.ts'
import type { SessionDiary } from './session-diary.ts'
import { type Answer, type Ask, isAnswer, type Wire } from './wire.ts'

/** How often each thing is done, against the others. */
const weights = {
  create: 2,
  run: 14,
  steer: 6,
  followUp: 8,
  repeat: 3,
  answer: 16,
  set: 6,
  look: 3,
  cancel: 3,
  delete: 1,
}

/** Inputs of one session that may wait at once: more only make the way to rest longer. */
const mostWaiting = 3
/** The longest that a client thinks before it does the next thing. */
const longestThoughtMs = 25

const Created = z.object({ id: z.string() })
const Stopped = z.object({ run: Run.optional() })
const Started = z.object({ run_id: z.string(), first_seq: z.number() })

/** What the clients of one process of the server share. */
export interface Stage {
  readonly wire: Wire
  readonly diary: Diary
  readonly random: Random
  /** Aborted when the process has ended. */
  readonly over: AbortSignal
  /** Is told of every new session. */
  onCreated(session: SessionDiary): void
}

/** A client that does one thing after the other to sessions, whatever they and other clients are doing. */
export class Client {
  readonly #stage: Stage
  #dismissed = false

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /** Works with those of the sessions that are not deleted yet, until the server is gone or says that it goes. */
  async work(sessions: readonly SessionDiary[]): Promise<void> {
    const acts: Readonly<Record<keyof typeof weights, (session: SessionDiary) => Promise<unknown>>> = {
      create: () => this.create(),
      run: (session) => this.#run(session),
      steer: (session) => this.#steer(session),
      followUp: (session) => this.#followUp(session),
      repeat: (session) => this.#repeat(session),
      answer: () => this.#answer(sessions),
      set: (session) => this.#set(session),
      look: (session) => this.#send(session, 'GET', '/snapshot?messages=last:3'),
      cancel: (session) => this.#cancel(session),
      delete: (session) => this.#delete(session),
    }
    const { random, over } = this.#stage
    while (!over.aborted && !this.#dismissed) {
      const session = random.pick(sessions.filter(({ deletion }) => deletion !== 'told'))
      if (session === undefined) await this.create()
      else await acts[random.weighted(weights)](session)
      await delay(random.between(0, longestThoughtMs))
    }
  }

  async create(): Promise<void> {
    const { diary, wire, onCreated } = this.#stage
    const title = diary.name('session')
    const { outcome, text } = this.#hear(await wire.send('POST', '/sessions', this.#ask({ title })))
    const created = outcome === 'accepted' ? parsed(Created, text) : undefined
    if (created !== undefined) onCreated(diary.created(created.id, title))
    else if (outcome !== 'refused') diary.createdPerhaps(title)
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

  /** Answers one question. */
  async judge(session: SessionDiary, requestId: string, approve: boolean): Promise<void> {
    const request = session.open.get(requestId)
    if (request === undefined) return
    const tag = this.#stage.diary.name(approve ? 'yes' : 'no')
    await session.judge(requestId, tag, () => {
      if (request.content.kind === 'elicitation') {
        const body = { action: approve ? 'accept' : 'decline', content: { tag }, request_id: requestId }
        return this.#send(session, 'POST', '/elicitation', body)
      }
      const body = { confirmation: approve ? 'approve' : 'reject', reason: tag, request_id: requestId }
      return this.#send(session, 'POST', '/resume', body)
    })
  }

  async #run(session: SessionDiary): Promise<void> {
    const { random } = this.#stage
    // A session that seems to be at work refuses most of what is started.
    if (session.running !== undefined && random.chance(0.9)) return
    if (random.chance(0.5)) await this.#detach(session, random.weighted(agentWeights))
    else await this.stream(session, random.weighted(agentWeights))
  }

  /** A run whose stream is read to its end, or left; that cancels it unless the request says otherwise. */
  async stream(session: SessionDiary, agent: string, { mayLeave = true } = {}): Promise<Answer> {
    const { diary, random, wire } = this.#stage
    const text = diary.name('stream')
    const goesOn = mayLeave && random.chance(0.4)
    const most = mayLeave && random.chance(0.3) ? random.between(1, 100) : Number.POSITIVE_INFINITY
    const path = `/sessions/${session.id}/agent/${agent}${goesOn ? '?on_disconnect=continue' : ''}`
    return session.say({ kind: 'run', text }, async () => {
      const body = await wire.open('POST', path, this.#ask({ messages: [{ content: text }] }, mayLeave))
      if (isAnswer(body)) return this.#hear(body, session)
      for await (const _ of record(session, body, { most }));
      return { outcome: 'accepted', status: 200, text: '' }
    })
  }

  async #detach(session: SessionDiary, agent: string): Promise<void> {
    const text = this.#stage.diary.name('detached')
    await session.say({ kind: 'run', text }, async () => {
      const answer = await this.#send(session, 'POST', '/runs', { agent, messages: [{ content: text }] })
      const run = answer.outcome === 'accepted' ? parsed(Started, answer.text) : undefined
      if (run !== undefined) session.started.set(run.run_id, run.first_seq)
      return answer
    })
  }

  async #steer(session: SessionDiary): Promise<void> {
    if (session.waiting >= mostWaiting) return
    const text = this.#stage.diary.name('steer')
    const body = { messages: [{ content: text }] }
    await session.say({ kind: 'steer', text }, () => this.#send(session, 'POST', '/steer', body))
  }

  async #followUp(session: SessionDiary): Promise<void> {
    if (session.waiting >= mostWaiting) return
    const { diary, random } = this.#stage
    const text = diary.name('followup')
    const key = random.chance(0.7) ? `key of ${text}` : undefined
    await session.say({ kind: 'followup', text, key }, () => this.#sendFollowUp(session, text, key))
  }

  /** Sends something again with its key, as a client does that has lost its server or its patience. */
  async #repeat(session: SessionDiary): Promise<void> {
    const input = this.#stage.random.pick(session.inputs.filter(({ key }) => key !== undefined).slice(-8))
    if (input === undefined) return
    const before = input.outcome
    if (before === 'refused') input.outcome = 'unknown'
    const answer = await this.#sendFollowUp(session, input.text, input.key)
    session.note(`repeat of ${input.text}: ${answer.status} ${answer.text}`)
    if (answer.outcome === 'refused') input.outcome = before
    if (answer.outcome !== 'accepted') return
    const { duplicate } = parsed(FollowUpAnswer, answer.text) ?? { duplicate: undefined }
    if (before === 'accepted' && duplicate === false) throw session.complaint(`${input.key} was taken twice`)
    input.outcome = 'accepted'
  }

  async #sendFollowUp(session: SessionDiary, text: string, key: string | undefined): Promise<Answer> {
    const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key }
    return this.#send(session, 'POST', '/followup', { messages: [{ content: text }] }, headers)
  }

  async #set(session: SessionDiary): Promise<void> {
    const { diary, random } = this.#stage
    const name = diary.name('set')
    const starred = random.chance(0.5)
    const acts = {
      title: () => session.title.set(name, () => this.#send(session, 'PATCH', '/title', { title: name })),
      star: () => session.starred.set(starred, () => this.#send(session, 'PATCH', '/starred', { starred })),
      allow: () => {
        const body = { permissions: { allow: [name] } }
        return session.allowed.set(name, () => this.#send(session, 'PATCH', '/permissions', body))
      },
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
    const answer = await this.#send(session, 'POST', `/cancel?wait=${wait}`, { run_id, reason: 'enough' })
    const { outcome, status, text } = answer
    session.stops[place] = { outcome, status, run: parsed(Stopped, text)?.run }
    session.note(`cancel of ${run_id} waits ${wait}: ${answer.status} ${answer.text}`)
  }

  async #delete(session: SessionDiary): Promise<void> {
    await session.delete(() => this.#send(session, 'DELETE', this.#stage.random.chance(0.5) ? '' : '?wait=true'))
    if (session.deletion !== 'told') return
    const { outcome, text } = await this.#send(session, 'GET', '')
    if (outcome === 'accepted') throw session.complaint(`it was deleted, but it is there: ${text}`)
  }

  async #send(
    session: SessionDiary,
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer> {
    const ask = { ...this.#ask(body), ...(headers === undefined ? {} : { headers }) }
    return this.#hear(await this.#stage.wire.send(method, `/sessions/${session.id}${path}`, ask), session)
  }

  /** Now and then the client hangs up before it has heard anything. */
  #ask(body: unknown, mayCut = true): Ask {
    const { random } = this.#stage
    const cut = mayCut && random.chance(0.05)
    return { ...(body === undefined ? {} : { body }), ...(cut ? { cutAfterMs: random.between(0, 6) } : {}) }
  }

  #hear(answer: Answer, session?: SessionDiary): Answer {
    if (answer.text.includes('"shutting_down"')) this.#dismissed = true
    if (answer.text.includes('"unknown_session"')) session?.seeGone()
    return answer
  }
}

/** An answer may be cut off. */
function parsed<T extends z.ZodType>(shape: T, text: string): z.infer<T> | undefined {
  try {
    return shape.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
