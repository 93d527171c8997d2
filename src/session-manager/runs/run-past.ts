import { z } from 'zod'
import {
  BudgetUsage,
  Event,
  ForeignEvent,
  Message,
  parseFrames,
  Request,
  type Run,
  ToolCall,
  ToolCallResult,
} from '../../protocol/protocol.ts'
import type { Resumption } from '../../runtime/runtime.ts'
import { settled } from '../requests/requests.ts'
import type { SessionState } from '../state/session-state.ts'
import { Transcript } from '../state/transcript.ts'
import { OpenCalls } from './open-calls.ts'

/** What the log says of a run that its process has left. */
export interface RunPast extends Resumption {
  /** The answer that it was writing: the deltas since its last complete message. */
  readonly partial: Message | undefined
  /** When the log has told something last, in RFC 3339. */
  readonly lastTold: string
  /** Where the log goes on after the last complete message of the run, or its beginning. */
  readonly fromSeq: number
  /** Requests whose answer the run has acted on. */
  readonly used: ReadonlySet<string>
  /** What was begun by tasks that worked for it, as it must be told to have ended. */
  readonly below: readonly ForeignEvent[]
  readonly openCalls: OpenCalls
}

/** Reads in the log of a session what a run has done. */
export function runPast({ storedEvents, id }: SessionState, run: Run): RunPast {
  const past = new Past(id, run)
  let cursor = run.first_seq - 1
  for (;;) {
    const segment = storedEvents.need(cursor)
    if (segment === undefined) return storedEvents.reading(run.first_seq, () => past.found())
    storedEvents.reading(cursor + 1, () => {
      for (const { seq, json } of parseFrames(segment.text)) {
        if (seq > cursor) past.read(seq, json)
      }
    })
    cursor = segment.last
  }
}

const aboutCalls: ReadonlySet<string> = new Set(['tool_call', 'tool_call_response', 'message_added'])

const Task = z.looseObject({ id: z.string() })

/** Pieces of an answer: nearly all of a log, and nothing once the answer is there as a whole. */
const pieces: ReadonlySet<string> = new Set(['agent_choice', 'agent_choice_reasoning', 'partial_tool_call'])

class Past {
  readonly #sessionId: string
  readonly #run: Run
  readonly #transcript: Transcript
  readonly #begun = new Map<string, ToolCallResult | undefined>()
  readonly #budgets = new Map<string, BudgetUsage>()
  readonly #ends = new Map<string, ForeignEvent>()
  readonly #completed = new Set<string>()
  readonly #openCalls = new OpenCalls()
  readonly #used = new Set<string>()
  readonly #mark: string
  /** The last event of the log. */
  #last: string | undefined
  /** Of the answer that may have been cut, as they stand in the log. */
  #pieces: string[] = []
  #calls = 0
  /** The model call that was answered last is counted. */
  #isCounted = false
  #isCompacting = false
  #extended: { readonly agent: string; readonly calls: number; readonly request: string } | undefined
  #cut: string | undefined
  #fromSeq: number

  constructor(sessionId: string, run: Run) {
    this.#sessionId = sessionId
    this.#run = run
    this.#transcript = new Transcript(sessionId, [])
    this.#fromSeq = run.first_seq
    this.#mark = `"run_id":${JSON.stringify(run.run_id)}`
  }

  found(): RunPast {
    for (const json of this.#pieces) this.#notePiece(parsed(json))
    this.#pieces = []
    return {
      partial: this.#transcript.partial,
      lastTold: this.#last === undefined ? this.#run.started_at : textOf(parsed(this.#last).timestamp),
      fromSeq: this.#fromSeq,
      calls: this.#calls,
      extended: this.#extended,
      used: this.#used,
      cut: this.#cut,
      begun: this.#begun,
      budgets: [...this.#budgets.values()],
      below: [...this.#ends.values()].reverse(),
      completed: this.#completed,
      openCalls: this.#openCalls,
    }
  }

  /** Parses only what it must: a run may have told a million events, and nobody is answered meanwhile. */
  read(seq: number, json: string): void {
    this.#last = json
    if (!pieces.has(typeOf(json))) this.#note(seq, parsed(json))
    // A quote inside a text is escaped, so this is the key.
    else if (json.includes(this.#mark)) this.#pieces.push(json)
  }

  #note(seq: number, event: ForeignEvent): void {
    const { run_id, root_run_id } = this.#run
    const isOwn = event.run_id === run_id
    // Tasks spend from the same budgets. What somebody else tells in this log means nothing here.
    if (event.type === 'budget_usage' && (isOwn || event.root_run_id === (root_run_id ?? run_id)))
      this.#noteBudgets(event)
    if (event.session_id !== this.#sessionId) this.#noteBelow(event)
    else if (isOwn) this.#noteOwn(seq, event)
  }

  #noteBudgets({ budgets }: ForeignEvent): void {
    for (const usage of BudgetUsage.array().parse(budgets)) this.#budgets.set(usage.name, usage)
  }

  #noteOwn(seq: number, event: ForeignEvent): void {
    const known = aboutCalls.has(event.type) ? Event.safeParse(event).data : undefined
    if (known !== undefined) this.#openCalls.note(known)
    switch (event.type) {
      case 'message_added':
        this.#fromSeq = seq + 1
        this.#noteMessage(Message.parse(event.message))
        break
      case 'tool_call':
        this.#begun.set(ToolCall.parse(event.tool_call).id ?? '', undefined)
        break
      case 'tool_call_response':
        this.#begun.set(textOf(event.tool_call_id), resultOf(event))
        break
      case 'token_usage':
        // An answer that says nothing is told by no message. What a summary has used is no answer.
        if (!this.#isCounted && !this.#isCompacting) this.#calls += 1
        this.#isCounted = false
        break
      case 'session_compaction':
        this.#isCompacting = event.status === 'started'
        break
      case 'run_recovered':
        this.#isCompacting = false
        this.#isCounted = false
        break
      case 'request_settled':
        this.#noteAnswer(Request.parse(event.request))
        break
      case 'sub_session_completed':
        this.#completed.add(Task.parse(event.sub_session).id)
        break
    }
  }

  #notePiece(event: ForeignEvent): void {
    if (event.session_id !== this.#sessionId || event.run_id !== this.#run.run_id) return
    const agent = textOf(event.agent_name)
    const content = textOf(event.content)
    if (event.type === 'agent_choice') this.#transcript.grow(agent, { content })
    if (event.type === 'agent_choice_reasoning') this.#transcript.grow(agent, { reasoning: content })
    const said =
      event.type === 'partial_tool_call' ? (ToolCall.parse(event.tool_call).function.arguments ?? '') : content
    this.#cut = (this.#cut ?? '') + said
  }

  /** An answer that was cut before ends what was said, and is no answer. */
  #noteMessage({ agent_name, message }: Message): void {
    if (message.role !== 'assistant') return
    this.#pieces = []
    this.#begun.clear()
    if (message.finish_reason === 'interrupted') return
    this.#calls += 1
    this.#isCounted = true
    if (this.#extended !== undefined) this.#used.add(this.#extended.request)
    if (this.#extended?.agent !== agent_name) this.#extended = undefined
  }

  #noteAnswer({ id, agent_name: agent = '', content, answer }: Request): void {
    if (content.kind !== 'continuation' || answer === undefined || !('confirmation' in answer)) return
    if (answer.confirmation !== 'reject') this.#extended = { agent, calls: this.#calls, request: id }
  }

  /** Keeps the end of each beginning until the end itself was told. */
  #noteBelow(event: ForeignEvent): void {
    const { type, session_id, run_id, root_run_id, agent_name } = event
    const envelope = { session_id, run_id, root_run_id, agent_name }
    const runKey = `run ${String(run_id)}`
    if (type === 'stream_started')
      this.#ends.set(runKey, { type: 'stream_stopped', ...envelope, reason: 'interrupted' })
    if (type === 'stream_stopped') this.#ends.delete(runKey)
    if (type !== 'request_opened' && type !== 'request_settled') return
    const request = Request.parse(event.request)
    const key = `request ${request.id}`
    if (type === 'request_settled') this.#ends.delete(key)
    else {
      const expired = settled(request, 'expired', 'restart')
      this.#ends.set(key, { type: 'request_settled', ...envelope, request: expired, decider: 'restart' })
    }
  }
}

/** Of an event as the log has it: its type stands in front. */
function typeOf(json: string): string {
  const start = '{"type":"'.length
  return json.slice(start, json.indexOf('"', start))
}

function parsed(json: string): ForeignEvent {
  return ForeignEvent.parse(JSON.parse(json))
}

function textOf(text: unknown): string {
  return typeof text === 'string' ? text : ''
}

function resultOf({ result, response }: ForeignEvent): ToolCallResult {
  const parsed = ToolCallResult.safeParse(result)
  return parsed.success ? parsed.data : { output: textOf(response) }
}
