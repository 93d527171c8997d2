import { setTimeout as delay } from 'node:timers/promises'
import { type IfBusy, RunStart } from '../../src/protocol/protocol.ts'
import { agentWeights } from './agents.ts'
import type { Input } from './input.ts'
import { Keyed } from './keyed.ts'
import { record } from './reader.ts'
import type { SessionDiary } from './session-diary.ts'
import type { Stage, Voice } from './voice.ts'
import { type Answer, isAnswer, isReplayed, parsed } from './wire.ts'

/** What shall happen when the session is busy, against the others. */
const policyWeights: Readonly<Record<IfBusy, number>> = { reject: 8, enqueue: 3, steer: 2, interrupt: 2, rollback: 2 }
const routeWeights = { stream: 4, detached: 4, inputs: 2 }

/** Inputs of one session that may wait at once: more only make the way to rest longer. */
const mostWaiting = 3
/** The longest that a client waits for a stream that may have nothing to show for ever. */
const longestStreamMs = 300

interface StreamOptions {
  readonly agent: string
  readonly policy: IfBusy
  /** Frames after which the client leaves. */
  readonly most: number
  readonly goesOn: boolean
  readonly key: string | undefined
  /** The client never hangs up early. */
  readonly isPatient?: boolean
}

/** How clients let a session run. */
export class RunActs {
  readonly #stage: Stage
  readonly #voice: Voice

  constructor(stage: Stage, voice: Voice) {
    this.#stage = stage
    this.#voice = voice
  }

  async run(session: SessionDiary): Promise<void> {
    const { random } = this.#stage
    const policy = random.weighted(policyWeights)
    const isBusy = session.running !== undefined
    // A session that seems to be at work refuses most of what is started, and must come to do some of it.
    if (isBusy && random.chance(policy === 'reject' ? 0.9 : 0.4)) return
    if (isBusy && (policy === 'enqueue' || policy === 'steer') && session.waiting >= mostWaiting) return
    const agent = random.weighted(agentWeights)
    const route = random.weighted(routeWeights)
    if (route !== 'stream') return this.#detach(session, agent, policy, route)
    const most = random.chance(0.3) ? random.between(1, 100) : Number.POSITIVE_INFINITY
    await this.#stream(session, { agent, policy, most, goesOn: random.chance(0.4), key: this.#voice.key() })
  }

  /** A brief run, read to its end. */
  finish(session: SessionDiary): Promise<Answer> {
    const most = Number.POSITIVE_INFINITY
    return this.#stream(session, {
      agent: 'brief',
      policy: 'reject',
      most,
      goesOn: false,
      key: undefined,
      isPatient: true,
    })
  }

  /** A run whose stream is read to its end, or left; that cancels it unless the request says otherwise. */
  async #stream(session: SessionDiary, options: StreamOptions): Promise<Answer> {
    const { policy, goesOn, agent, key } = options
    const text = this.#stage.diary.name('stream')
    const input = this.#say(session, policy, text)
    const query = goesOn ? `?on_disconnect=continue&if_busy=${policy}` : `?if_busy=${policy}`
    const path = `/agent/${agent}${query}`
    const send = () => this.#open(session, path, text, options)
    const hear = (answer: Answer) => this.#hear(session, input, answer)
    const first = await send()
    hear(first)
    if (key !== undefined) session.keyed.push(new Keyed({ what: `POST ${path} (${key})`, first, send, hear }))
    return first
  }

  /** The text of its answer says where a stream began. */
  async #open(session: SessionDiary, path: string, text: string, options: StreamOptions): Promise<Answer> {
    const { policy, most, key, isPatient = false } = options
    const { wire, random } = this.#stage
    const ask = this.#voice.ask({ messages: [{ content: text }] }, key, !isPatient)
    const body = await wire.open('POST', `/sessions/${session.id}${path}`, ask)
    if (isAnswer(body)) return this.#voice.hear(body, session)
    const leaving = new AbortController()
    const leaves = policy !== 'reject' || (key !== undefined && random.chance(0.5))
    if (leaves)
      void delay(random.between(1, longestStreamMs), undefined, leaving).then(
        () => body.destroy(),
        () => {},
      )
    let began: number | undefined
    for await (const seq of record(session, body, { most })) began ??= seq
    leaving.abort()
    const from = began === undefined ? '' : `from ${began}`
    return { outcome: 'accepted', status: 200, text: from, replayed: isReplayed(body.headers) }
  }

  async #detach(session: SessionDiary, agent: string, policy: IfBusy, route: 'detached' | 'inputs'): Promise<void> {
    const text = this.#stage.diary.name(route)
    const input = this.#say(session, policy, text)
    const path = route === 'detached' ? '/runs' : '/inputs'
    const named = route === 'detached' || this.#stage.random.chance(0.5) ? { agent } : {}
    const body = { ...named, messages: [{ content: text }], if_busy: policy }
    await this.#voice.change(session, 'POST', path, body, (answer) => {
      const run = answer.outcome === 'accepted' ? parsed(RunStart, answer.text) : undefined
      if (run !== undefined) session.started.set(run.run_id, run.first_seq)
      this.#hear(session, input, answer)
    })
  }

  #say(session: SessionDiary, policy: IfBusy, text: string): Input {
    if (policy === 'interrupt' || policy === 'rollback')
      session.stops.push({ outcome: 'unknown', status: 0, run: undefined })
    if (policy === 'rollback') session.mayRollBack = true
    return session.say(text, policy === 'reject' ? 'run' : undefined)
  }

  #hear(session: SessionDiary, input: Input, answer: Answer): void {
    input.hear(answer)
    session.note(`run ${input.texts}: ${input.answer}`)
  }
}
