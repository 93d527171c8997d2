import type { Activity, Explanation, HeldBy, Request, Run, StateReason } from '../../protocol/protocol.ts'
import type { SessionRecord } from '../../store/store.ts'
import type { QueueStep, Refused } from '../inputs/queue-start.ts'
import { timeAfter } from '../moment.ts'
import { callOf } from '../requests/requests.ts'
import type { Doing, RunActivity } from '../runs/run-activity.ts'
import type { RunControl } from '../runs/run-control.ts'
import type { RunLimits } from '../runs/run-watch.ts'
import type { SessionState } from '../state/session-state.ts'

/** A task that a session below carries out. */
export interface TaskFact {
  readonly session_id: string
  readonly agent: string
  readonly since: string
  /** The run goes on when it has ended. */
  readonly isWaitedFor: boolean
}

/** All that an explanation is made of, as it is at one moment. */
export interface Facts {
  readonly record: SessionRecord
  /** The agent that answers, if any ever has. */
  readonly agent: string | undefined
  /** The run that goes on, and what is known of it. */
  readonly run: Run | undefined
  readonly activity: Pick<RunActivity, 'doing' | 'heard' | 'leaving' | 'patience' | 'recovering'> | undefined
  /** The last run that has ended. */
  readonly last: Run | undefined
  /** Open, of this session and of those that work for it. */
  readonly requests: readonly Request[]
  readonly tasks: readonly TaskFact[]
  readonly queue: Explanation['queue']
  /** A client holds all that waits. */
  readonly isHeldByHand: boolean
  /** What holds something of it besides. */
  readonly heldBy: HeldBy | undefined
  /** What a start from the queue waits for. */
  readonly step: QueueStep | undefined
  /** Why the last start from the queue has begun nothing. */
  readonly refused: Refused | undefined
  readonly isDraining: boolean
  readonly limits: RunLimits
}

/** What is known of a session now, taken in one breath. */
export function factsOf(state: SessionState, control: RunControl, agent: string | undefined): Facts {
  const { current, start } = control
  const { queue, around, record } = state
  const { steer, followup } = queue.state
  const held = queue.list.filter(({ state }) => state === 'held')
  return {
    record,
    agent,
    run: current?.state,
    activity: current?.activity,
    last: control.last?.state ?? storedRun(state, current?.id),
    requests: state.family.tree.flatMap(({ requests }) => requests.open),
    tasks: control.tasks.running.map(({ session, run, waiting }) => ({
      session_id: session.id,
      agent: run.state.agent_name,
      since: run.state.started_at,
      isWaitedFor: waiting !== undefined,
    })),
    queue: { steer: steer.depth, followup: followup.depth, held: held.length },
    isHeldByHand: queue.list.every(({ held_by }) => held_by === 'client'),
    heldBy: held.find(({ held_by }) => held_by !== 'client')?.held_by,
    // What it was to begin with may have been taken back.
    step: queue.ready.length > 0 ? start.step : undefined,
    refused: start.refused,
    isDraining: around.isDraining(),
    limits: around.limits,
  }
}

/** The newest run that is stored, besides the one that goes on. One that no process drives has been cut. */
function storedRun({ around, id }: SessionState, currentId: string | undefined): Run | undefined {
  const newest = around.store.runs(id, { limit: 2 }).entries.find(({ run_id }) => run_id !== currentId)
  return newest?.status === 'running' ? { ...newest, status: 'interrupted' } : newest
}

/** Why a session is as it is. */
export function reasonOf(facts: Facts): StateReason {
  const { run, step, record, activity, requests } = facts
  if (run === undefined) {
    if (step !== undefined) return step.waitsFor === 'slot' ? 'no_free_slot' : 'opening_agent'
    return record.paused === undefined ? restReason(facts) : 'budget'
  }
  if (activity?.leaving !== undefined) {
    return activity.leaving.isStuck && run.canceled === undefined ? 'stuck' : 'stop_requested'
  }
  if (requests.length > 0) return 'person'
  if (activity?.recovering !== undefined) return 'recovering'
  if (facts.tasks.some(({ isWaitedFor }) => isWaitedFor)) return 'tasks'
  const kinds = new Set((activity?.doing ?? []).map(({ kind }) => kind))
  const order = ['tool', 'model', 'hook', 'starting', 'step'] as const
  return running[order.find((kind) => kinds.has(kind)) ?? 'step']
}

const running: Readonly<Record<Doing['kind'], StateReason>> = {
  tool: 'tools',
  model: 'model',
  hook: 'hooks',
  starting: 'starting',
  step: 'between_steps',
}

/** Why an idle session does nothing, and what waits in its queue starts nothing. */
function restReason({ queue, isHeldByHand, heldBy, record, last, refused, isDraining }: Facts): StateReason {
  if (queue.steer + queue.followup === 0) {
    return record.agent === undefined && last === undefined ? 'never_ran' : 'at_rest'
  }
  if (isHeldByHand) return 'held_by_hand'
  if (isDraining) return 'held_by_shutdown'
  if (refused !== undefined) return 'agent_unavailable'
  if (heldBy === 'failure' && last?.status !== 'failed') return 'agent_unavailable'
  return heldBy === undefined ? 'queue_waits' : holders[heldBy]
}

const holders: Readonly<Record<HeldBy, StateReason>> = {
  client: 'held_by_hand',
  stop: 'held_by_stop',
  failure: 'held_by_failure',
  restart: 'held_by_restart',
  // The session is paused as long as anything is held for that.
  budget: 'budget',
}

/** What goes on in a session, the most telling first. */
export function activitiesOf(facts: Facts): readonly Activity[] {
  const { activity, run, requests, tasks, limits } = facts
  const background = tasks.map(taskActivity)
  if (run === undefined || activity === undefined) return background
  const { leaving, recovering } = activity
  if (leaving !== undefined) {
    const deadline = timeAfter(leaving.since, limits.detachAfterMs)
    return [{ kind: 'stopping', since: leaving.since.at, ...(deadline && { deadline }) }, ...background]
  }
  const asked = requests.map(requestActivity)
  if (recovering !== undefined) {
    const { since, until } = recovering
    return [...asked, { kind: 'recovering', since: since.at, ...(until && { retry_at: until }) }, ...background]
  }
  const awaited = asked.length > 0 || tasks.some(({ isWaitedFor }) => isWaitedFor)
  const isAsked = (id: string | undefined): boolean => asked.some(({ tool_call_id }) => id && tool_call_id === id)
  const own = activity.doing.filter(({ kind, tool_call_id }) =>
    kind === 'tool' ? !isAsked(tool_call_id) : kind === 'model' || kind === 'hook' || !awaited,
  )
  return [...asked, ...background, ...own.map((doing) => ownActivity(doing, facts, awaited))]
}

function requestActivity({ id, session_id, created_at, content, deadline }: Request): Activity {
  const due = deadline === undefined ? {} : { deadline }
  const place = { kind: 'person', since: created_at, request_id: id, session_id, ...due } as const
  const tool_call_id = callOf(content)
  const name = content.kind === 'approval' ? content.tool_call.function.name : undefined
  return { ...place, ...(name && { name }), ...(tool_call_id && { tool_call_id }) }
}

function taskActivity({ session_id, agent, since }: TaskFact): Activity {
  return { kind: 'task', since, name: agent, session_id }
}

function ownActivity(doing: Doing, { activity, limits, isDraining }: Facts, awaited: boolean): Activity {
  const { kind, since, heard, again, name, tool_call_id } = doing
  const { modelMs = Infinity, toolMs = Infinity } = activity?.patience ?? {}
  // A call that waits for somebody else may be silent meanwhile.
  const silence = { model: modelMs, tool: awaited ? Infinity : toolMs, hook: Infinity }
  const isQuiet = kind === 'starting' || kind === 'step'
  // While the process ends, a run that waits for the next one is silent.
  const runMs = isDraining ? Infinity : limits.runSilenceMs
  const deadline = timeAfter((isQuiet ? activity?.heard : (heard ?? again)) ?? since, isQuiet ? runMs : silence[kind])
  return {
    kind,
    since: since.at,
    ...(heard && { last_sign_of_life: heard.at }),
    ...(deadline && { deadline }),
    ...(name && { name }),
    ...(tool_call_id && { tool_call_id }),
  }
}
