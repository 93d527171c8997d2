import type { InputMessage, OnDisconnect, Run, RunTrigger, StopReason } from '../../protocol/protocol.ts'
import type { AgentRef, RunContext, Runtime, RuntimeEvent } from '../../runtime/runtime.ts'
import type { ActiveRun } from './active-run.ts'

/** A runtime in use. Whoever leased it releases it. */
export interface RuntimeLease {
  readonly runtime: Runtime
  /** Key of the agent's source; empty when the runtime was attached and no file's agent has run. */
  readonly source: string
  release(): Promise<void>
  /** Lends it to nobody else from now on: it may not come back. */
  forget?(): void
}

/** A run that is ready to begin: everything that had to be loaded is loaded. */
export interface RunPlan {
  readonly lease: RuntimeLease
  readonly messages: readonly InputMessage[]
  /** A model reference for the agent, from this run on. */
  readonly model?: string | undefined
  readonly trigger: RunTrigger
  /** The agent that the request asked for, by a name or by a slash command. */
  readonly agent?: AgentRef | undefined
  /** Of a run that a connection starts. */
  readonly onDisconnect?: OnDisconnect | undefined
  /** Of a compaction. */
  readonly additionalPrompt?: string | undefined
  /** What the runtime carries out; its `run` unless told. */
  readonly work?:
    | ((context: RunContext, runtime: Runtime) => AsyncGenerator<RuntimeEvent, StopReason, void>)
    | undefined
  /** Of a task: the run at the top that it belongs to. */
  readonly rootRunId?: string | undefined
  /** Of the request behind the run; none for one that the queue starts. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** What must be safe besides before it begins its work. */
  readonly after?: (() => Promise<void>) | undefined
  /** Is called in the breath in which the run ends. */
  readonly onEnd?: ((run: Run) => void) | undefined
}

/** A run that goes on in this process: what it needs comes when it may. */
export interface ResumePlan extends Pick<RunPlan, 'work' | 'onEnd'> {
  /** Gets ready what it needs; throws when the run cannot go on. */
  getReady(run: ActiveRun): Promise<RuntimeLease>
}
