import type {
  ElicitationAnswer,
  Item,
  Message,
  Spending,
  StopReason,
  Usage,
  Verdict,
} from '../../src/protocol/protocol.ts'
import type {
  Answer,
  CompactionRequest,
  Question,
  RunContext,
  RunSettings,
  Runtime,
  RuntimeEvent,
  Tasks,
} from '../../src/runtime/runtime.ts'

/** A session as small as can be: queues that a test fills, and an abort. */
export interface TestSession {
  readonly context: RunContext
  readonly steering: Message[]
  readonly followUps: Message[]
  readonly compactions: CompactionRequest[]
  /** Everything that the run took, in order. */
  readonly taken: string[]
  /** Questions and tasks apart, everything that happened, as a session keeps it. */
  record(event: RuntimeEvent): void
  stop(): void
}

export function user(content: string): Message {
  return { agent_name: '', message: { role: 'user', content } }
}

export function assistant(content: string, more: Partial<Message['message']> = {}): Message {
  return { agent_name: 'root', message: { role: 'assistant', content, ...more } }
}

export interface SessionOptions
  extends Partial<Pick<RunContext, 'untitled' | 'tasks' | 'headers' | 'resumed' | 'committed'>> {
  readonly model?: string | undefined
  /** What the session has spent before. */
  readonly spent?: Spending
  readonly maxIterations?: number
  /** Looked at whenever the run asks for its settings. */
  readonly settings?: Partial<RunSettings>
  /** What a person says to a question, which has to be of the question's kind. */
  answer?(question: Question): Promise<Verdict | ElicitationAnswer>
}

export function session(history: readonly (Message | Item)[], more: SessionOptions = {}): TestSession {
  const abort = new AbortController()
  const steering: Message[] = []
  const followUps: Message[] = []
  const compactions: CompactionRequest[] = []
  const taken: string[] = []
  const items: Item[] = history.map((entry) => ('agent_name' in entry ? { message: entry } : entry))
  let spent = more.spent ?? { cost: 0, tokens: 0, elapsed_seconds: 0 }
  const take = (messages: readonly Message[]) => {
    taken.push(...messages.map(({ message }) => message.content))
    items.push(...messages.map((message) => ({ message })))
    return messages
  }
  let cost = items.reduce((sum, item) => sum + (item.message?.message.cost ?? 0) + (item.cost ?? 0), 0)
  const count = (usage: Usage | undefined, more = 0): void => {
    cost += more
    if (usage === undefined) return
    const tokens = usage.input_tokens + usage.output_tokens
    spent = { cost: spent.cost + more, tokens: spent.tokens + tokens, elapsed_seconds: spent.elapsed_seconds }
  }
  const record = (event: RuntimeEvent): void => {
    if (event.type === 'session_summary') {
      const { type: _, agent_name: __, ...summary } = event
      items.push(summary)
      count(summary.usage, summary.cost)
    }
    if (event.type === 'usage_spent') count(event.usage, event.cost)
    if (event.type === 'time_spent') spent = { ...spent, elapsed_seconds: spent.elapsed_seconds + event.seconds }
    if (event.type !== 'message_added') return
    const { message } = event
    items.push({ message })
    count(message.message.usage, message.message.cost)
  }
  const context: RunContext = {
    signal: abort.signal,
    get history() {
      return [...items]
    },
    modelOf: () => more.model,
    conversation: 'a conversation',
    resumed: more.resumed,
    committed: more.committed ?? (async () => {}),
    headers: more.headers ?? {},
    untitled: more.untitled ?? false,
    settings: () => ({
      safety_policy: '',
      permissions: {},
      working_dir: undefined,
      max_iterations: more.maxIterations ?? 0,
      max_consecutive_tool_calls: undefined,
      max_old_tool_call_tokens: undefined,
      max_tool_result_tokens: undefined,
      budget: undefined,
      interactive: true,
      ...more.settings,
    }),
    spent: () => spent,
    get cost() {
      return cost
    },
    tasks: more.tasks ?? noTasks,
    takeCompaction: () => compactions.shift(),
    takeSteering: () => take(steering.splice(0)),
    takeFollowUp: () => take(followUps.splice(0, 1))[0],
    ask: async <Q extends Question>(question: Q) => {
      if (more.answer === undefined) throw new Error('nobody is asked anything here')
      return (await more.answer(question)) as Answer<Q>
    },
  }
  return { context, steering, followUps, compactions, taken, record, stop: () => abort.abort() }
}

/** Of a session whose agents hand nothing over. */
const noTasks: Tasks = {
  begin: () => Promise.reject(new Error('no task is handed over here')),
  background: () => [],
  ended: async () => undefined,
  stop: async () => {},
}

export interface Outcome {
  readonly events: readonly RuntimeEvent[]
  readonly reason: StopReason | undefined
  readonly error: unknown
}

/** Carries a run to its end; `onEvent` sees each event before the run goes on. */
export async function carryOut(
  runtime: Runtime,
  { context, record }: TestSession,
  onEvent: (event: RuntimeEvent) => void = () => {},
): Promise<Outcome> {
  const events: RuntimeEvent[] = []
  const run = runtime.run(context)
  try {
    for (;;) {
      const step = await run.next()
      if (step.done) return { events, reason: step.value, error: undefined }
      events.push(step.value)
      record(step.value)
      onEvent(step.value)
    }
  } catch (error) {
    return { events, reason: undefined, error }
  }
}

/** What a run tells of itself alone. */
export const toldToNobody: ReadonlySet<string> = new Set(['time_spent', 'usage_spent', 'asked_again'])

/** Of the events that are told to somebody. */
export function types({ events }: Outcome): readonly string[] {
  return events.map(({ type }) => type).filter((type) => !toldToNobody.has(type))
}

/** What was said, as a reader of the deltas puts it together. */
export function text({ events }: Outcome): string {
  return events.map((event) => (event.type === 'agent_choice' ? event.content : '')).join('')
}

/** The messages that the run stored. */
export function stored({ events }: Outcome): readonly Message['message'][] {
  return events.flatMap((event) => (event.type === 'message_added' ? [event.message.message] : []))
}

export function warnings({ events }: Outcome): readonly string[] {
  return events.flatMap((event) => (event.type === 'warning' ? [event.message] : []))
}

export function titles({ events }: Outcome): readonly string[] {
  return events.flatMap((event) => (event.type === 'session_title' ? [event.title] : []))
}
