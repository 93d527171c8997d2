import type { QueuedInput } from '../../src/protocol/protocol.ts'
import type { Input } from './input.ts'
import type { SessionDiary } from './session-diary.ts'
import type { Stage, Voice } from './voice.ts'

/** Inputs of one session that may wait at once: more only make the way to rest longer. */
const mostWaiting = 3

/** How often each thing is done to a message that waits, against the others. */
const weights = { edit: 4, hold: 2, release: 3, turn: 2, move: 2, take: 5 }

/** What clients do to the queue of a session. */
export class QueueActs {
  readonly #stage: Stage
  readonly #voice: Voice

  constructor(stage: Stage, voice: Voice) {
    this.#stage = stage
    this.#voice = voice
  }

  async add(session: SessionDiary, manner: 'steer' | 'followup'): Promise<void> {
    if (session.waiting >= mostWaiting) return
    const text = this.#stage.diary.name(manner)
    const input = session.say(text, 'queue')
    await this.#voice.change(session, 'POST', `/${manner}`, { messages: [{ content: text }] }, (answer) => {
      input.hear(answer)
      session.note(`${manner} ${text}: ${input.answer}`)
    })
  }

  /** Does something to one message that waits. */
  async change(session: SessionDiary): Promise<void> {
    const { random } = this.#stage
    const waits = random.pick([...session.queue.values()])
    const input = waits && session.inputs.find(({ texts }) => texts.includes(waits.message.content))
    if (waits === undefined || input === undefined) return
    const act = random.weighted(weights)
    if (act === 'edit') await this.#edit(session, waits, input)
    else if (act === 'take') await this.#take(session, waits, input)
    else if (act === 'turn') await this.#patch(session, waits, { kind: waits.kind === 'steer' ? 'followup' : 'steer' })
    else if (act === 'move') await this.#patch(session, waits, { before: random.pick([...session.queue.keys()]) })
    else await this.#hold(session, waits, input, act === 'hold')
  }

  /** Lets go of every message that a client holds. */
  async release(session: SessionDiary): Promise<void> {
    for (const waits of session.queue.values()) {
      const input = session.inputs.find(({ texts }) => texts.includes(waits.message.content))
      if (input !== undefined && waits.held_by === 'client') await this.#hold(session, waits, input, false)
    }
  }

  async #edit(session: SessionDiary, waits: QueuedInput, input: Input): Promise<void> {
    const text = this.#stage.diary.name('edit')
    input.texts.push(text)
    await input.text.set(text, () => this.#patch(session, waits, { message: { content: text } }))
  }

  async #hold(session: SessionDiary, waits: QueuedInput, input: Input, held: boolean): Promise<void> {
    await input.held.set(held, () => this.#patch(session, waits, { held }))
  }

  async #take(session: SessionDiary, { id }: QueuedInput, input: Input): Promise<void> {
    if (input.taken === 'no') input.taken = 'asked'
    const { outcome, status, text } = await this.#voice.change(session, 'DELETE', `/inputs/${id}`)
    if (outcome === 'accepted') input.taken = 'told'
    session.note(`${input.texts} is taken back: ${status} ${text}`)
  }

  async #patch(session: SessionDiary, { id }: QueuedInput, body: object) {
    const answer = await this.#voice.change(session, 'PATCH', `/inputs/${id}`, body)
    session.note(`input ${id} becomes ${JSON.stringify(body)}: ${answer.status} ${answer.text}`)
    return answer
  }
}
