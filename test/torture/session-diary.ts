import { z } from 'zod'
import { QueuedInput, Request, type Run } from '../../src/protocol/protocol.ts'
import { eventOf, type Frame } from '../crash/frames.ts'
import { Complaint, must } from './complaint.ts'
import { Input, type Place } from './input.ts'
import type { Keyed } from './keyed.ts'
import { LogDiary } from './log-diary.ts'
import { Register } from './register.ts'
import type { Answer, Outcome } from './wire.ts'

/** An answer to a question. Its tag is unlike every other one. */
export interface Verdict {
  readonly requestId: string
  readonly tag: string
  outcome: Outcome
}

/** A stop that was asked for. */
export interface Stop {
  readonly outcome: Outcome
  readonly status: number
  /** The run, as the answer showed it. */
  readonly run: Run | undefined
}

const Event = z.looseObject({
  type: z.string(),
  session_id: z.string(),
  run_id: z.string().optional(),
  message: z.unknown().optional(),
  request: z.unknown().optional(),
  input: z.unknown().optional(),
})

/** Notes that are kept of a session, newest last. */
const mostNotes = 2000

/** All that clients said to one session, and were told and shown by it. Outlives the servers. */
export class SessionDiary extends LogDiary {
  readonly id: string
  readonly query = ''
  readonly title: Register<string>
  readonly starred = new Register(false)
  /** The pattern that the session's permissions allow; empty when there is none. */
  readonly allowed = new Register('')
  readonly inputs: Input[] = []
  /** Messages that were shown to wait, and not shown to do so no more. */
  readonly queue = new Map<string, QueuedInput>()
  /** Requests that may be sent again. */
  readonly keyed: Keyed[] = []
  readonly verdicts: Verdict[] = []
  readonly stops: Stop[] = []
  /** Somebody has asked for the place of a run, and that it be rolled back. */
  mayRollBack = false
  /** Runs that were told to have started, and with which seq. */
  readonly started = new Map<string, number>()
  /** Questions that were shown and not shown to be settled. */
  readonly open = new Map<string, Request>()
  /** `asked` without an answer leaves open whether it is gone. */
  deletion: 'no' | 'asked' | 'told' = 'no'
  running: string | undefined
  readonly #delivered = new Set<string>()
  readonly #notes: string[] = []

  constructor(id: string, title: string) {
    super()
    this.id = id
    this.title = new Register(title)
  }

  get path(): string {
    return `/sessions/${this.id}/events`
  }

  get isGone(): boolean {
    return this.deletion === 'told'
  }

  /** Inputs that may be in the queue. */
  get waiting(): number {
    return this.inputs.filter(({ outcome, taken, texts }) => {
      return outcome !== 'refused' && taken !== 'told' && !texts.some((text) => this.#delivered.has(text))
    }).length
  }

  get notes(): readonly string[] {
    return this.#notes
  }

  note(text: string): void {
    this.#notes.push(`${new Date().toISOString().slice(14)} ${text}`)
    if (this.#notes.length > mostNotes) this.#notes.shift()
  }

  /** Something is about to be said to it. */
  say(text: string, place?: Place): Input {
    const input = new Input(text, place)
    this.inputs.push(input)
    return input
  }

  /** A question is about to be answered. */
  judge(requestId: string, tag: string): Verdict {
    const verdict: Verdict = { requestId, tag, outcome: 'unknown' }
    this.verdicts.push(verdict)
    return verdict
  }

  /** Takes down how an answer to a question came out; complains when another one had come out well before. */
  decide(verdict: Verdict, { outcome, status, text }: Answer): void {
    const { requestId, tag } = verdict
    verdict.outcome = outcome
    this.note(`answer ${tag} to ${requestId}: ${status} ${text}`)
    const accepted = this.verdicts.filter((one) => one.requestId === requestId && one.outcome === 'accepted')
    if (accepted.length > 1)
      throw this.complaint(`${accepted.map((one) => one.tag)} were all accepted for ${requestId}`)
  }

  /** Deletes it with a request. */
  async delete(request: () => Promise<Answer>): Promise<void> {
    if (this.deletion === 'no') this.deletion = 'asked'
    const { outcome, status } = await request()
    if (outcome === 'accepted') this.deletion = 'told'
    this.note(`delete: ${status}`)
  }

  /** Somebody was told that it is gone; complains when nobody has asked for that. */
  seeGone(): void {
    must(this.deletion !== 'no', `session ${this.id} is unknown, but nobody deleted it`, this.id)
    this.deletion = 'told'
  }

  complaint(text: string): Complaint {
    return new Complaint(`session ${this.id}: ${text}`, this.id)
  }

  protected read(frame: Frame): void {
    const { type, session_id, run_id, message, request, input } = Event.parse(eventOf(frame))
    if (type !== 'agent_choice' && type !== 'agent_choice_reasoning' && type !== 'partial_tool_call') {
      this.note(`seq ${frame.seq} ${type} ${run_id ?? ''} ${summaryOf(frame)}`)
    }
    if (type === 'session_exited') this.deletion = 'told'
    if (type === 'user_message' && typeof message === 'string') this.#delivered.add(message)
    if (type === 'stream_started' && session_id === this.id) this.running = run_id
    if (type === 'stream_stopped' && this.running === run_id) this.running = undefined
    if (type === 'input_queued' || type === 'input_updated' || type === 'input_settled') {
      const waits = QueuedInput.parse(input)
      if (type === 'input_settled') this.queue.delete(waits.id)
      else this.queue.set(waits.id, waits)
    }
    if (type !== 'request_opened' && type !== 'request_settled') return
    const question = Request.parse(request)
    if (type === 'request_settled') this.open.delete(question.id)
    else if (question.state === 'open') this.open.set(question.id, question)
  }
}

function summaryOf({ bytes }: Frame): string {
  const data = Buffer.from(bytes, 'latin1').toString().split('\ndata: ')[1] ?? ''
  return data
    .replace(/"(?:type|session_id|run_id|timestamp|agent_name|tool_definition)":(?:"[^"]*"|\{[^{}]*\}),?/g, '')
    .slice(0, 300)
    .trim()
}
