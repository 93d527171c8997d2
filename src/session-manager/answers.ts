import type { LogPage } from '../event-log/event-log.ts'
import type {
  IfBusy,
  InputMessage,
  Message,
  OnDisconnect,
  Run,
  RunTrigger,
  SessionDetails,
  SessionExport,
  Spending,
} from '../protocol/protocol.ts'
import type { ItemRange } from '../store/store.ts'

/** What a run request asks for. */
export interface RunOptions {
  readonly messages: readonly InputMessage[]
  readonly model?: string | undefined
  readonly trigger?: RunTrigger
  /** What becomes of a run that a connection starts, when its reader leaves. */
  readonly onDisconnect?: OnDisconnect | undefined
  /** Of the request that wants the run, for its agent; kept nowhere, and gone with the run. */
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** What a client wants of a session, whatever it does. */
export interface SubmitOptions extends RunOptions {
  readonly ifBusy: IfBusy
  readonly sentBy?: string | undefined
}

/** A run that has begun, with its stream: its events from the first to the last. */
export interface StartedRun {
  readonly run: Run
  events(signal: AbortSignal): AsyncGenerator<LogPage, void, void>
}

/** Which messages of a session to show: all, none, or those of its newest items. */
export type MessageRange = 'all' | 'none' | { readonly last: number }

export function toItemRange(range: MessageRange): ItemRange {
  if (range === 'all') return { from: 0 }
  return { last: range === 'none' ? 0 : range.last }
}

/** `next` is where the page that follows begins. */
export interface MessagePage {
  readonly messages: readonly Message[]
  readonly next: number | undefined
}

export interface BatchDeletion {
  readonly deleted_count: number
  readonly failed_count: number
  readonly failed_ids: readonly string[]
}

export interface BatchExport {
  readonly sessions: readonly SessionExport[]
  readonly missing: readonly string[]
}

/** Whether the run has ended, and how it stands. No run: there was nothing to stop. */
export interface Stop {
  readonly stopped: boolean
  readonly run: Run | undefined
}

/** The run that compacts the history, and whether it was started for that. */
export interface CompactionStart {
  readonly run: Run
  readonly isNew: boolean
}

/** What a session may spend, what it has spent, and the run that goes on because of a change. */
export interface BudgetState extends Pick<SessionDetails, 'budget' | 'paused'> {
  readonly spent: Spending
  readonly run_id?: string | undefined
}

/** Whether a run takes the follow-up, and whether its key was used before. */
export interface FollowUp {
  readonly streaming: boolean
  readonly duplicate: boolean
}

export interface TokenCounters {
  readonly input_tokens: number
  readonly output_tokens: number
  /** USD. */
  readonly cost?: number | undefined
}
