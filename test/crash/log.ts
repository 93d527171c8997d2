import { z } from 'zod'
import { eventOf, type Frame } from './frames.ts'

/** What the checks look at in an event. */
const Event = z.looseObject({
  type: z.string(),
  run_id: z.string().optional(),
  content: z.string().optional(),
  message: z.unknown().optional(),
  message_id: z.string().optional(),
  title: z.string().optional(),
  reason: z.string().optional(),
  code: z.string().optional(),
  attempt: z.number().optional(),
  cause: z.string().optional(),
  from_seq: z.number().optional(),
  to_seq: z.number().optional(),
})
export type Event = z.infer<typeof Event> & { readonly seq: number }

const Answer = z.object({
  message: z.object({
    role: z.string(),
    content: z.string(),
    reasoning_content: z.string().default(''),
    finish_reason: z.string().optional(),
  }),
})
type Answer = z.infer<typeof Answer>['message']

/** What an agent said: in pieces, and as the message that the pieces became. */
export interface Utterance {
  readonly text: string
  readonly reasoning: string
  /** Missing while the pieces are all there is. */
  readonly message: Answer | undefined
}

/** The whole log of one session, as a client reads it. */
export class Log {
  readonly frames: readonly Frame[]
  readonly events: readonly Event[]

  constructor(frames: readonly Frame[]) {
    this.frames = frames
    this.events = frames.map((frame) => ({ ...Event.parse(eventOf(frame)), seq: frame.seq }))
  }

  get runIds(): readonly string[] {
    return [...new Set(this.events.flatMap(({ run_id }) => run_id ?? []))]
  }

  eventsOf(runId: string): readonly Event[] {
    return this.events.filter(({ run_id }) => run_id === runId)
  }

  /** How often something that was said became part of the conversation. */
  deliveries(text: string): number {
    return this.events.filter(({ type, message }) => type === 'user_message' && message === text).length
  }

  /** The messages that it tells of, in the order of the transcript. */
  get messageIds(): readonly string[] {
    const added = this.events.filter(({ type }) => type === 'user_message' || type === 'message_added')
    return added.flatMap(({ message_id }) => message_id ?? [])
  }

  /** The newest title that it tells of. */
  get title(): string | undefined {
    return this.events.findLast(({ type }) => type === 'session_title')?.title
  }

  /** The text of the answer that was being written when the log was that long. */
  partialAt(seq: number): string {
    const last = utterancesIn(this.events.slice(0, seq)).at(-1)
    return last === undefined || last.message !== undefined ? '' : last.text
  }
}

/** Whether an event is an answer that was cut. */
export function isCut({ type, message }: Event): boolean {
  return type === 'message_added' && Answer.parse(message).message.finish_reason === 'interrupted'
}

/** Everything that an agent said in these events, in order. */
export function utterancesIn(events: readonly Event[]): readonly Utterance[] {
  const said: Utterance[] = []
  let text = ''
  let reasoning = ''
  for (const { type, content = '', message } of events) {
    if (type === 'agent_choice') text += content
    if (type === 'agent_choice_reasoning') reasoning += content
    const answer = type === 'message_added' ? Answer.parse(message).message : undefined
    if (answer?.role !== 'assistant') continue
    said.push({ text, reasoning, message: answer })
    text = ''
    reasoning = ''
  }
  return text + reasoning === '' ? said : [...said, { text, reasoning, message: undefined }]
}
