import type { Random } from '../crash/random.ts'
import type { Diary } from './diary.ts'
import { Keyed } from './keyed.ts'
import type { SessionDiary } from './session-diary.ts'
import type { Answer, Ask, Wire } from './wire.ts'

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

/** How a client speaks to the server: now and then it hangs up early, names its request with a key, and sends that again. */
export class Voice {
  readonly #stage: Stage
  /** The server has said that it goes. */
  isDismissed = false

  constructor(stage: Stage) {
    this.#stage = stage
  }

  /**
   * Sends a request that changes something. `hear` takes down how that came out, also when it is sent again later; without one
   * it is sent again at once, or when it was accepted.
   */
  async change(
    session: SessionDiary,
    method: string,
    path: string,
    body?: unknown,
    hear?: (answer: Answer) => void,
  ): Promise<Answer> {
    const { random, wire } = this.#stage
    const key = this.key()
    const send = async (): Promise<Answer> => {
      return this.hear(await wire.send(method, `/sessions/${session.id}${path}`, this.ask(body, key)), session)
    }
    let answer = await send()
    if (answer.outcome === 'unknown' && key !== undefined && random.chance(0.5)) {
      const again = await send()
      if (again.outcome === 'accepted') answer = again
    }
    hear?.(answer)
    if (key !== undefined && (hear !== undefined || answer.outcome === 'accepted'))
      session.keyed.push(new Keyed({ what: `${method} ${path} (${key})`, first: answer, send, ...(hear && { hear }) }))
    return answer
  }

  /** Names a request, or does not. */
  key(): string | undefined {
    const { random, diary } = this.#stage
    return random.chance(0.5) ? diary.name('key') : undefined
  }

  /** Now and then the client hangs up before it has heard anything. */
  ask(body: unknown, key: string | undefined, mayCut = true): Ask {
    const { random } = this.#stage
    const cut = mayCut && random.chance(0.05)
    return {
      ...(body === undefined ? {} : { body }),
      ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }),
      ...(cut ? { cutAfterMs: random.between(0, 6) } : {}),
    }
  }

  hear(answer: Answer, session?: SessionDiary): Answer {
    if (answer.text.includes('"shutting_down"')) this.isDismissed = true
    if (answer.text.includes('"unknown_session"')) session?.seeGone()
    return answer
  }
}
