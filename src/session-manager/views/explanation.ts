import type {
  Activity,
  ActivityKind,
  ExplainedState,
  Explanation,
  Run,
  StateReason,
  WayOut,
} from '../../protocol/protocol.ts'
import type { Recovering } from '../runs/run-activity.ts'
import { deadlineText, questionsText } from './question-text.ts'
import { activitiesOf, type Facts, reasonOf } from './session-facts.ts'
import {
  answerOf,
  atDeadline,
  cancel,
  comes,
  endOfTask,
  raiseBudget,
  release,
  sendFollowUp,
  startRun,
  takeBack,
} from './ways-out.ts'

/** Facts, with what goes on. */
export interface Case extends Facts {
  readonly activities: readonly Activity[]
}

/** What is said of a reason. */
interface Words {
  readonly state: ExplainedState
  since(facts: Case): string
  /** One or two sentences for a person; `since` as above. */
  message(facts: Case, since: string): string
  endsWhen(facts: Case): readonly WayOut[]
}

/** Says of a session what it does, since when, and what would end it. */
export function explain(known: Facts): Explanation {
  const reason = reasonOf(known)
  const facts = { ...known, activities: activitiesOf(known) }
  const words = sayings[reason]
  const since = words.since(facts)
  const [deadline] = facts.activities.flatMap((activity) => activity.deadline ?? []).sort()
  return {
    session_id: facts.record.id,
    state: words.state,
    reason,
    since,
    message: words.message(facts, since),
    ...(facts.run && { run_id: facts.run.run_id }),
    ...(facts.agent !== undefined && { agent: facts.agent }),
    activities: [...facts.activities],
    queue: facts.queue,
    ...(deadline !== undefined && { deadline }),
    ends_when: [...words.endsWhen(facts)],
  }
}

/** A session that could go on if something in its queue started a run. */
const held = (why: (facts: Case) => string): Words => ({
  state: 'idle',
  since: restedSince,
  message: (facts) => `${waitingInputs(facts)} for its next run: ${why(facts)}.`,
  endsWhen: (facts) => [startRun(facts), sendFollowUp(facts), ...(facts.queue.held > 0 ? [release(facts)] : [])],
})

/** A run that waits for something of its own, which comes by itself. */
const busy = (kind: ActivityKind, message: Words['message'], end: WayOut, late: string): Words => ({
  state: 'running',
  since: sinceThe(kind),
  message,
  endsWhen: (facts) => [end, ...atDeadline(facts, late), cancel(facts)],
})

/** What is said of every reason: the one place where sentences about states stand. */
export const sayings: Readonly<Record<StateReason, Words>> = {
  never_ran: {
    state: 'idle',
    since: restedSince,
    message: () => 'It has never run, and nothing waits in its queue.',
    endsWhen: (facts) => [startRun(facts)],
  },
  at_rest: {
    state: 'idle',
    since: restedSince,
    message: (facts) => `It is at rest, and nothing waits in its queue: ${lastEnd(facts)}.`,
    endsWhen: (facts) => [startRun(facts), sendFollowUp(facts)],
  },
  held_by_stop: held((facts) => `${lastEnd(facts)}, and a stop holds what was sent before it`),
  held_by_failure: held((facts) => `${lastEnd(facts)}, and follow-ups might only fail too`),
  held_by_restart: held((facts) => `${lastEnd(facts)}, and a restart holds what was sent before it`),
  held_by_hand: { ...held(() => 'a person holds it'), endsWhen: (facts) => [release(facts)] },
  held_by_shutdown: {
    ...held(() => 'the server is shutting down and starts no runs'),
    endsWhen: () => [comes('server_starts', 'the server has started again')],
  },
  queue_waits: held(() => 'what is steered into a session that does not run starts no run'),
  agent_unavailable: {
    ...held(({ refused }) => `its agent could not be opened (${refused?.message ?? 'nobody knows why'})`),
    since: (facts) => facts.refused?.since ?? restedSince(facts),
  },
  no_free_slot: {
    state: 'queued',
    since: (facts) => facts.step?.since ?? restedSince(facts),
    message: (facts, since) =>
      `${waitingInputs(facts)} since ${since} for a run that cannot begin: as many go on as the server allows.`,
    endsWhen: (facts) => [comes('free_slot', 'another run has ended'), takeBack(facts)],
  },
  opening_agent: {
    state: 'queued',
    since: (facts) => facts.step?.since ?? restedSince(facts),
    message: (facts, since) => `${waitingInputs(facts)} for a run whose agent is being opened since ${since}.`,
    endsWhen: (facts) => [comes('agent_opens', 'the agent is open'), takeBack(facts)],
  },
  starting: busy(
    'starting',
    (facts, since) => `${agentOf(facts)} gets ready since ${since}: its tools are being started.`,
    comes('tools_start', 'the tools are ready'),
    'the run counts as stuck and is ended',
  ),
  model: busy(
    'model',
    (facts, since) => `${agentOf(facts)} waits for its model since ${since}: ${modelWords(facts)}.`,
    comes('model_answers', 'the model has answered'),
    'the model call is given up, and tried again if nothing of the answer was shown',
  ),
  tools: busy(
    'tool',
    (facts) => `${agentOf(facts)} waits for ${listed(facts, 'tool')}.`,
    comes('tool_ends', 'the tool calls have ended'),
    'a call that has said nothing is ended, and the model reads that',
  ),
  hooks: busy(
    'hook',
    (facts) => `${agentOf(facts)} waits for ${listed(facts, 'hook')}: hooks of its agent file.`,
    comes('hook_ends', 'the hooks have ended'),
    'the hook is ended',
  ),
  between_steps: busy(
    'step',
    (facts, since) => `${agentOf(facts)} prepares its next step since ${since}.`,
    comes('next_step', 'the next step begins'),
    'the run counts as stuck and is ended',
  ),
  tasks: {
    state: 'running',
    since: sinceThe('task'),
    message: (facts) => `${agentOf(facts)} waits for ${listed(facts, 'task')}, whom it has given a task.`,
    endsWhen: (facts) => [
      ...facts.tasks.flatMap((task) => (task.isWaitedFor ? [endOfTask(task.session_id)] : [])),
      cancel(facts),
    ],
  },
  person: {
    state: 'waiting_for_person',
    since: sinceThe('person'),
    message: (facts, since) => `${agentOf(facts)} waits since ${since} for a person: ${questionsText(facts.requests)}.`,
    endsWhen: (facts) => [...facts.requests.map(answerOf), ...expiring(facts), cancel(facts)],
  },
  stop_requested: {
    state: 'stopping',
    since: sinceThe('stopping'),
    message: ({ run }, since) => `The run was stopped${byWhom(run?.canceled)} at ${since}, and has not left yet.`,
    endsWhen: leaving,
  },
  stuck: {
    state: 'stopping',
    since: sinceThe('stopping'),
    message: (_, since) =>
      `The run told nothing for too long although nothing went on in it, so it was stopped at ${since}. It has not left yet.`,
    endsWhen: leaving,
  },
  budget: {
    state: 'paused',
    since: restedSince,
    message: ({ record }) => `A budget has paused it. ${record.paused?.message ?? ''}`.trim(),
    endsWhen: (facts) => [raiseBudget(facts), startRun(facts)],
  },
  recovering: {
    state: 'recovering',
    since: sinceThe('recovering'),
    message: (facts, since) =>
      `What carried it out has crashed, was restarted or could not commit any more. The run is taken up again since ${since}, as attempt ${facts.run?.attempt ?? 1}, ${recoveries[step(facts)].message(facts)}.`,
    endsWhen: (facts) => [recoveries[step(facts)].end(facts), cancel(facts)],
  },
}

function step({ activity }: Case): Recovering['waitsFor'] {
  return activity?.recovering?.waitsFor ?? 'turn'
}

/** What a run waits for that is taken up again. */
const recoveries: Readonly<Record<Recovering['waitsFor'], { message(facts: Case): string; end(facts: Case): WayOut }>> =
  {
    pause: {
      message: (facts) => `which begins at ${retryAt(facts)}`,
      end: (facts) => comes('retry', `the run goes on, at ${retryAt(facts)}`),
    },
    slot: {
      message: () => 'and cannot go on yet: as many go on as the server allows',
      end: () => comes('free_slot', 'another run has ended'),
    },
    trial: {
      message: () =>
        'its last, and waits for its turn: such runs go on one at a time, since one may end the process again',
      end: () => comes('retry', 'the run goes on'),
    },
    turn: {
      message: () => 'and waits for its turn among all that go on',
      end: () => comes('retry', 'the run goes on'),
    },
    agent: {
      message: () => 'and its agent is being opened',
      end: () => comes('agent_opens', 'the agent is open'),
    },
  }

function retryAt({ activity }: Case): string {
  return activity?.recovering?.until ?? 'any moment'
}

function leaving(facts: Case): readonly WayOut[] {
  return [comes('run_leaves', 'the run has left'), ...atDeadline(facts, 'the run is left behind and ends all the same')]
}

/** What happens first to those who wait: to a question, or to what goes on besides. */
function expiring(facts: Case): readonly WayOut[] {
  const [first] = facts.activities.flatMap(({ deadline }) => deadline ?? []).sort()
  const question = facts.requests.find(({ deadline }) => deadline !== undefined && deadline === first)
  if (question === undefined) return atDeadline(facts, 'what has said nothing is ended')
  return [comes('deadline', deadlineText(question))]
}

function restedSince({ last, record }: Case): string {
  return last?.ended_at ?? record.created_at
}

/** When the first of that kind has begun. */
function sinceThe(kind: ActivityKind): (facts: Case) => string {
  return ({ activities, run, record }) => {
    const [first] = activities.flatMap((activity) => (activity.kind === kind ? [activity.since] : [])).sort()
    return first ?? run?.started_at ?? record.created_at
  }
}

function agentOf({ agent, run }: Case): string {
  return run?.agent_name || agent || 'The agent'
}

function waitingInputs({ queue }: Case): string {
  const count = queue.steer + queue.followup
  return count === 1 ? 'A message waits' : `${count} messages wait`
}

/** How the last run ended. */
function lastEnd({ last }: Case): string {
  if (last === undefined) return 'it has not run yet'
  const { status, canceled, error, ended_at } = last
  const when = ended_at === undefined ? '' : ` at ${ended_at}`
  const why = error === undefined ? '' : ` (${error.message})`
  const ends = {
    completed: `its last run ended by itself${when}`,
    failed: `its last run failed${when}${why}`,
    canceled: `its last run was stopped${byWhom(canceled)}${when}`,
    interrupted: `its last run was cut off${when}${why}`,
    paused: `a budget stopped its last run${when}`,
    running: 'its last run is still ending',
  } as const
  return ends[status]
}

function byWhom(canceled: Run['canceled']): string {
  if (canceled === undefined) return ''
  return ` by ${canceled.by}${canceled.reason ? ` (${canceled.reason})` : ''}`
}

function modelWords({ activities }: Case): string {
  const heard = activities.find(({ kind }) => kind === 'model')?.last_sign_of_life
  return heard === undefined ? 'it has not said anything yet' : `it writes, and was heard last at ${heard}`
}

/** Names with since when: `shell (since …), fetch (since …)`. */
function listed({ activities }: Case, kind: ActivityKind): string {
  const those = activities.filter((activity) => activity.kind === kind)
  return those.map(({ name = 'something', since }) => `${name} (since ${since})`).join(', ')
}
