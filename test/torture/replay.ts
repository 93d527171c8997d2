import { z } from 'zod'
import { Message, Request, type ToolCall } from '../../src/protocol/protocol.ts'
import type { Frame } from '../crash/frames.ts'
import { Log } from '../crash/log.ts'

const Told = z.object({ request: Request })
export const RolledBack = z.object({
  message_ids: z.array(z.string()),
  tools_run: z.array(z.object({ tool_call_id: z.string() })),
})
const Args = z.union([
  z.object({ token: z.string() }).transform(({ token }) => token),
  z.object({ urls: z.tuple([z.string()]) }).transform(({ urls: [url] }) => url.slice(url.lastIndexOf('/') + 1)),
])

/** A call as the log tells of it. */
export interface Call {
  readonly id: string
  readonly runId: string
  readonly seq: number
  /** What it does is counted by this; `undefined` when it is not counted. */
  readonly token: string | undefined
  readonly results: readonly { readonly content: string; readonly is_error: boolean }[]
}

/** A question as the log tells of it. */
export interface Asked {
  readonly opened: Request
  /** In order; more than one is a fault. */
  readonly settled: readonly Request[]
}

/** The whole log of a session, as an uninterrupted reader reads it. */
export class Replay extends Log {
  readonly calls: readonly Call[]
  readonly asked: ReadonlyMap<string, Asked>
  /** Ids of the messages that have left the conversation. */
  readonly rolledBack: ReadonlySet<string>

  constructor(frames: readonly Frame[]) {
    super(frames)
    this.calls = this.#readCalls()
    this.asked = this.#readQuestions()
    const rollbacks = this.events.filter(({ type }) => type === 'run_rolled_back')
    this.rolledBack = new Set(rollbacks.flatMap((event) => RolledBack.parse(event).message_ids))
  }

  count(runId: string, type: string): number {
    return this.eventsOf(runId).filter((event) => event.type === type).length
  }

  #readCalls(): readonly Call[] {
    const added = this.events
      .filter(({ type }) => type === 'message_added')
      .map((event) => ({ seq: event.seq, runId: event.run_id ?? '', message: messageOf(event.message) }))
    return added.flatMap(({ seq, runId, message }) => {
      if (message.role !== 'assistant' || message.finish_reason === 'interrupted') return []
      return (message.tool_calls ?? []).map((call) => {
        const id = call.id ?? ''
        const results = added
          .filter((later) => later.seq > seq && later.runId === runId && later.message.tool_call_id === id)
          .map(({ message: { content, is_error = false } }) => ({ content, is_error }))
        return { id, runId, seq, token: tokenOf(call), results }
      })
    })
  }

  #readQuestions(): ReadonlyMap<string, Asked> {
    const asked = new Map<string, Asked>()
    for (const event of this.events) {
      if (event.type !== 'request_opened' && event.type !== 'request_settled') continue
      const { request } = Told.parse(event)
      const before = asked.get(request.id)
      if (event.type === 'request_opened') asked.set(request.id, { opened: request, settled: before?.settled ?? [] })
      else asked.set(request.id, { opened: before?.opened ?? request, settled: [...(before?.settled ?? []), request] })
    }
    return asked
  }
}

function messageOf(item: unknown): Message['message'] {
  return Message.parse(item).message
}

/** What counts a call, in its arguments. */
export function tokenOf(call: ToolCall): string | undefined {
  try {
    return Args.safeParse(JSON.parse(call.function.arguments ?? '')).data
  } catch {
    return undefined
  }
}
