import type {
  AgentFileView,
  AgentSummary,
  ApprovalContent,
  Budget,
  BudgetUsage,
  ContinuationContent,
  DeadlineAnswer,
  ElicitationAnswer,
  ElicitationContent,
  EventBody,
  Item,
  Message,
  ModelChoice,
  Permissions,
  RecoveryContent,
  RunStatus,
  SafetyPolicy,
  Spending,
  StopReason,
  ToolCallResult,
  Usage,
  Verdict,
} from '../protocol/protocol.ts'

/**
 * What a run tells while it goes on. The session adds the envelope, gives messages their ids and stores them.
 * Start, end and failure of the run itself are the session's to tell, and so is every user message.
 */
export type RuntimeEvent =
  | Exclude<
      EventBody,
      {
        type:
          | 'user_message'
          | 'stream_started'
          | 'stream_stopped'
          | 'run_recovered'
          | 'message_added'
          | 'tool_call_confirmation'
          | 'elicitation_request'
          | 'sub_session_completed'
          | 'request_opened'
          | 'request_reminder'
          | 'request_settled'
          | 'session_exited'
          | 'run_detached'
      }
    >
  | { readonly type: 'message_added'; readonly message: Message }
  /** The model that was asked has failed before it said anything, and is asked once more; is told to nobody. */
  | { readonly type: 'asked_again' }
  /** Models and tools have worked for so long; counts against budgets, and is told to nobody. */
  | { readonly type: 'time_spent'; readonly seconds: number }
  /** A model call that neither a message nor a summary tells; counts for the session, and is told to nobody. */
  | { readonly type: 'usage_spent'; readonly usage: Usage; readonly cost: number }

/** Settings of the session as they are now; a running turn asks again before each decision. */
export interface RunSettings {
  /** Somebody can be asked. */
  readonly interactive: boolean
  readonly safety_policy: SafetyPolicy
  readonly permissions: Permissions
  readonly working_dir: string | undefined
  /** These limits win over the agent's; 0 or nothing leaves it to the agent. */
  readonly max_iterations: number
  readonly max_consecutive_tool_calls: number | undefined
  readonly max_old_tool_call_tokens: number | undefined
  readonly max_tool_result_tokens: number | undefined
  /** What the session may spend, in all its runs and those of its tasks. */
  readonly budget: Budget | undefined
}

/** How long a question waits, and what it is answered with then; what it does not say is the session's to choose. */
export interface Expiry {
  /** Milliseconds; 0 is for ever. */
  readonly afterMs?: number | undefined
  /** `allow` and `deny` are for calls, `decline` and `cancel` for elicitations. A destructive call is never allowed by it. */
  readonly answer?: DeadlineAnswer | undefined
}

/**
 * A question for a person. `decide` is asked when the question is put and again after every change of the session's
 * settings: a verdict settles it without a person.
 */
export type Question = { readonly expiry?: Expiry | undefined } & (
  | { readonly content: ApprovalContent; readonly decide?: (() => Verdict | undefined) | undefined }
  | { readonly content: ElicitationContent }
  | { readonly content: ContinuationContent }
  | { readonly content: RecoveryContent }
)

/** The answer that a question of this kind gets. */
export type Answer<Q extends Question> = Q['content'] extends ElicitationContent ? ElicitationAnswer : Verdict

/** A task for another agent, carried out in a conversation of its own. */
export interface Delegation {
  /** Opens what carries it out, when the task begins; closed when it has ended. */
  open(): Runtime
  /** All that the other agent is told. */
  readonly task: string
  readonly title: string
  /** Nobody waits for it, and nobody can be asked: it goes on when the run that began it has ended. */
  readonly isBackground: boolean
  /** The tool call that hands it over. A call that is carried out again, in a run that was taken up again, finds its task. */
  readonly callId: string
  /** The conversation is told when the task has ended; for tasks that nobody waits for. */
  readonly recall?: boolean | undefined
}

/** How a task stands. */
export interface Task {
  /** Names its conversation. */
  readonly id: string
  readonly agent: string
  readonly status: RunStatus
  /** The last text of its agent. */
  readonly output: string
  readonly error: string | undefined
}

/** The tasks of one conversation, also those of its earlier runs. */
export interface Tasks {
  /**
   * Begins a task. Its events are told among those of this run, or, in the background, only what they cost. Throws when the
   * run is stopped.
   */
  begin(delegation: Delegation): Promise<Task>
  /** Those that nobody waits for, oldest first. */
  background(): readonly Task[]
  /** Resolves with the task as it ended; `undefined` when there is none. Rejects when its end cannot be stored. */
  ended(id: string): Promise<Task | undefined>
  /** Stops a task, and resolves when it has ended. */
  stop(id: string): Promise<void>
}

/** What a run had done when its process left it. It is in the history as far as it was whole. */
export interface Resumption {
  /** Model calls that were answered. */
  readonly calls: number
  /** Whom a person has let make more of them than its limit says, and after how many; none when another has answered since. */
  readonly extended?: { readonly agent: string; readonly calls: number } | undefined
  /** What the model had said of an answer that was cut. */
  readonly cut: string | undefined
  /** The tool calls of the last answer that had begun, by id: with their result, where there was one. */
  readonly begun: ReadonlyMap<string, ToolCallResult | undefined>
  /** How its budgets stood. */
  readonly budgets: readonly BudgetUsage[]
  /** Conversations whose task was told to have ended. */
  readonly completed: ReadonlySet<string>
}

/** All that a run may know and do. No HTTP, no store, no session. */
export interface RunContext {
  /** Aborts when the run must stop. */
  readonly signal: AbortSignal
  /** What was said until now, by this run too: whatever it has told is here when it goes on. */
  readonly history: readonly Item[]
  /** The model that the session chose for an agent, if any. */
  modelOf(agent: string): string | undefined
  /** Names the conversation, for programs that the agent's author runs beside it; means nothing here. */
  readonly conversation: string
  /**
   * Of the API request that started the run, by name in lower case; empty when no request did. For `${headers.NAME}` and
   * nothing else: they are stored and logged nowhere, and nothing keeps them longer than the run.
   */
  readonly headers: Readonly<Record<string, string>>
  /** The session has no title yet: the run may make one. */
  readonly untitled: boolean
  /** Set when the run was begun by a process that has left it: it goes on from there. */
  readonly resumed?: Resumption | undefined
  /** Resolves when everything that the run has told is safe; rejects when it cannot be. */
  committed(): Promise<void>
  settings(): RunSettings
  /** What the session has spent, in all its runs and those of its tasks. */
  spent(): Spending
  /** USD: what is told as the cost of the session, with what it has begun with. */
  readonly cost: number
  readonly tasks: Tasks
  /**
   * Takes what was asked for since the last call: that the history be compacted now. A run that is taken up again is asked once
   * more for one whose end it has not told (`session_compaction`).
   */
  takeCompaction(): CompactionRequest | undefined
  /** Takes what was steered in since the last call, in order; it is in the session's history from then on. */
  takeSteering(): readonly Message[]
  /** Takes the oldest follow-up; it is in the session's history from then on. */
  takeFollowUp(): Message | undefined
  /** Puts a question to a person. Rejects with the signal's reason when the run stops before the answer. */
  ask<Q extends Question>(question: Q): Promise<Answer<Q>>
}

/** What a person wants to be kept in mind when the history is compacted. */
export interface CompactionRequest {
  readonly prompt: string | undefined
}

/** A message that names a slash command which another agent answers. */
export interface CommandSwitch {
  readonly agent: string
  readonly text: string
}

/** The models that the agent of a runtime can be switched to. */
export interface ModelSwitch {
  /** All choices, `override` marked as current, or the default when there is none. */
  choices(override: string | undefined, custom: readonly string[]): readonly ModelChoice[]
  /** Rejects with `Refusal('invalid_model')` for a reference that no run could use. Touches no network. */
  check(ref: string): Promise<void>
}

/** How long models and tools may say nothing, in milliseconds, before a runtime ends their call; `Infinity` is for ever. */
export interface Patience {
  readonly modelMs: number
  readonly toolMs: number
}

/**
 * Something that can carry out a run.
 *
 * - R1. `run` yields events and then returns why it ended; it never yields after it returned.
 * - R2. It leaves soon after the signal, and takes what it started along: model calls, tools, child processes.
 * - R3. It throws only when the run failed: a {@link RunFailure}, or anything else for a defect.
 * - R4. It takes steering between turns only, and one follow-up at each natural stop.
 * - R5. It tells what it waits for: while no model call, tool, hook, question or task goes on it does not stay silent for long.
 *   One that does counts as stuck, and one that breaks R2 is left behind.
 */
export interface Runtime {
  /** Name of the agent that answers. */
  readonly agent: string
  /** The author's default, for a session whose creator chose no policy. */
  readonly safetyPolicy: SafetyPolicy | undefined
  /** Absent when models cannot be switched. */
  readonly models: ModelSwitch | undefined
  /** It holds what is costly to start, such as toolsets: its session keeps it for a while between runs. */
  readonly isLasting?: boolean | undefined
  /** For those who tell people until when something may be silent. */
  readonly patience?: Patience | undefined
  run(context: RunContext): AsyncGenerator<RuntimeEvent, StopReason, void>
  /** Only compacts the history. Absent when that cannot be done. */
  compact?(context: RunContext, request: CompactionRequest): AsyncGenerator<RuntimeEvent, StopReason, void>
  /** What a message means that is a slash command for another agent; `undefined` for every other. */
  command?(text: string): CommandSwitch | undefined
  /** Stops what outlives a run, such as toolsets. Twice is harmless. */
  close(): Promise<void>
}

/** Names an agent: the key of its source, and the agent inside; without a name the source's default agent. */
export interface AgentRef {
  readonly source: string
  readonly name?: string | undefined
}

/** For whom an agent is opened. */
export interface RuntimePlace {
  /** Where its tools work; without it where the process works. */
  readonly workingDir?: string | undefined
  /** The runtime that the session has now. */
  readonly current?: Runtime | undefined
}

/** Where agents come from. Every method may throw `Refusal`: unknown_agent, invalid_agent_file, agent_source_unavailable. */
export interface Agents {
  list(): Promise<readonly AgentSummary[]>
  /** The configuration of a source as clients may see it: secrets are masked. */
  view(source: string): Promise<AgentFileView>
  /** Tools that the agent offers; starts and stops its toolsets to count them. */
  toolCount(agent: AgentRef): Promise<number>
  /**
   * Gets an agent ready to run. Also `Refusal('agent_not_supported')`, naming everything that it uses in vain. Answers
   * `current` itself while that is still the agent of that source.
   */
  open(agent: AgentRef, place?: RuntimePlace): Promise<Runtime>
  close(): Promise<void>
}

export { recallText } from './recall.ts'
export { RunFailure } from './run-failure.ts'
export { leftEffect, toolMessage, unknownEffect } from './tool-message.ts'
