import { describe, expect, it, vi } from 'vitest'
import type { Delegation, RuntimeEvent } from '../../src/runtime/runtime.ts'
import {
  backends,
  codeOf,
  eventsOf,
  follow,
  type House,
  patience,
  readLog,
  running,
  texts,
  typesOf,
  useStore,
} from './house.ts'
import { added, elicitation, Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

const tool = { name: 'shell', category: '', parameters: {}, annotations: {}, outputSchema: null }

function toolCall(id: string): RuntimeEvent {
  return {
    type: 'tool_call',
    agent_name: 'root',
    tool_call: { id, type: 'function', function: {} },
    tool_definition: tool,
  }
}

function toolResponse(id: string, response: string): RuntimeEvent {
  return {
    type: 'tool_call_response',
    agent_name: 'root',
    tool_call_id: id,
    tool_definition: tool,
    response,
    result: { output: response },
  }
}

function calling(...ids: readonly string[]): RuntimeEvent {
  return added('', {
    tool_calls: ids.map((id) => ({ id, type: 'function', function: { name: 'shell', arguments: '{}' } })),
  })
}

/** What came of a run: its end events, and how it stands. */
async function endOf({ manager }: House, id: string, runId: string) {
  expect(await manager.waitStopped(id, patience)).toBe(true)
  // Told when its end is committed, and so in the log.
  const run = await manager.getRun(id, runId)
  const stops = eventsOf(await readLog(manager, id), 'stream_stopped').filter(({ run_id }) => run_id === runId)
  return { stops: stops.map(({ reason }) => reason), run }
}

/** A session whose next process asks a person whether its run shall go on. */
async function asked(built: House, more: { readonly request_deadline?: string } = {}) {
  const { id } = await built.manager.createSession({ recovery: 'ask', ...more })
  const { run } = await built.manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'x' }] })
  await built.puppet.next()
  const next = await built.crash()
  await follow(next.manager, id, 'request_opened')
  const [request] = await next.manager.getRequests(id)
  return { id, runId: run.run_id, next, request }
}

/** The request that is open. */
async function openOf({ manager }: House, id: string): Promise<string | undefined> {
  return (await manager.getRequests(id))[0]?.id
}

async function delegated(run: PuppetRun, isBackground = false, recall = false) {
  const worker = new Puppet()
  const delegation = {
    open: () => runtimeOf('worker', worker),
    task: 'work',
    title: 'work',
    callId: 'call-1',
    isBackground,
    recall,
  }
  const task = await run.context.tasks.begin(delegation)
  return { task, delegation, worker, run: await worker.next() }
}

function taskOf(worker: Puppet, more: Partial<Delegation> = {}): Delegation {
  const open = () => runtimeOf('worker', worker)
  return { open, task: 'work', title: 'work', isBackground: false, callId: 'call', ...more }
}

/** Long enough for everything that waits for nothing from outside. */
async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick += 1) await new Promise(setImmediate)
}

/** The runs of these sessions, once they go on; the store may know others. */
async function goneOn(puppet: Puppet, ids: readonly string[]): Promise<ReadonlyMap<string, PuppetRun>> {
  const found = new Map<string, PuppetRun>()
  while (!ids.every((id) => found.has(id))) {
    const run = await puppet.next()
    found.set(run.context.conversation, run)
  }
  return found
}

describe.each(backends)('a run that its process has left, over $over', (backend) => {
  const house = useStore(backend)
  const resuming = (more = {}) => house({ recovery: 'resume', ...more })

  it('goes on after a crash under its id, with a new message after the one that was cut (M4, M6)', async () => {
    const built = await resuming()
    const { id, runId, run } = await running(built)
    await run.say('one')
    await run.answer('one whole')
    await run.say('two ')
    await run.say('halves')
    const head = (await built.manager.getSessionSnapshot(id)).last_event_seq
    const next = await built.crash()
    const again = await next.puppet.next()
    expect(again.context.resumed).toMatchObject({ calls: 1, cut: 'two halves' })
    expect(again.context.history.at(-1)?.message?.message.finish_reason).toBe('interrupted')
    const log = await readLog(next.manager, id)
    const [cut] = eventsOf(log.slice(head), 'message_added')
    expect(eventsOf(log, 'run_recovered')).toMatchObject([
      { run_id: runId, attempt: 2, cause: 'crash', to_seq: head, message_id: cut?.message_id },
    ])
    const [recovered] = eventsOf(log, 'run_recovered')
    expect(log[(recovered?.from_seq ?? 0) - 1]?.event).toMatchObject({ type: 'agent_choice', content: 'two ' })
    expect(await next.manager.getRun(id, runId)).toMatchObject({ status: 'running', attempt: 2 })
    expect((await next.manager.getSessionStatus(id)).run_id).toBe(runId)
    await again.answer('whole')
    await again.end()
    expect(await endOf(next, id, runId)).toMatchObject({ stops: ['normal'], run: { status: 'completed' } })
    expect(texts((await next.manager.getSession(id)).messages)).toEqual(['begin', 'one whole', 'two halves', 'whole'])
  })

  it('tells the runtime which calls had begun, and what is known of their results', async () => {
    const built = await resuming()
    const { id, run } = await running(built)
    await run.tell(calling('x'))
    await run.tell(toolCall('x'))
    await run.tell(toolResponse('x', 'old'))
    await run.tell({
      type: 'message_added',
      message: { agent_name: 'root', message: { role: 'tool', content: 'old', tool_call_id: 'x' } },
    })
    await run.tell(calling('a', 'b', 'c'))
    await run.tell(toolCall('a'))
    await run.tell(toolCall('b'))
    await run.tell(toolResponse('a', 'done'))
    await run.tell({ type: 'budget_usage', budgets: [{ name: 'run', cost: 1, tokens: 2, elapsed_seconds: 3 }] })
    await built.manager.getSession(id)
    const next = await built.crash()
    const again = await next.puppet.next()
    expect(again.context.resumed).toMatchObject({ calls: 2, cut: undefined, budgets: [{ name: 'run', cost: 1 }] })
    expect([...(again.context.resumed?.begun ?? [])]).toEqual([
      ['a', { output: 'done' }],
      ['b', undefined],
    ])
    await again.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
  })

  it('knows which calls had begun also when retention has passed meanwhile', async () => {
    const built = await resuming({ eventRetention: { ageMs: -patience, newest: 1 } })
    const { id, run } = await running(built)
    await run.tell(calling('a', 'b'))
    await run.tell(toolCall('a'))
    await run.tell(toolCall('b'))
    await run.tell(toolResponse('a', 'done'))
    await built.manager.getSession(id)
    // In a commit of its own, which stays in any case.
    await built.manager.updateSessionTitle(id, 'still at work')
    await built.manager.retain()
    const next = await built.crash()
    const again = await next.puppet.next()
    expect([...(again.context.resumed?.begun ?? [])]).toEqual([
      ['a', { output: 'done' }],
      ['b', undefined],
    ])
    await again.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
  })

  it('tells the runtime how many model calls were allowed besides, and gives no answer again that was acted on', async () => {
    const limit = { content: { kind: 'continuation', max_iterations: 1 } } as const
    const usage = { input_tokens: 0, output_tokens: 0, context_length: 0, context_limit: 0, cost: 0 }
    const silent = { type: 'token_usage', agent_name: 'root', usage } as const
    const built = await resuming({ recoveryAttempts: 9 })
    const { id, run } = await running(built)
    await run.answer('one')
    await run.tell(silent)
    // An answer that says nothing, and a summary, which is none.
    await run.tell(silent)
    await run.tell({ type: 'session_compaction', agent_name: 'root', status: 'started' })
    await run.tell(silent)
    await run.tell({ type: 'session_compaction', agent_name: 'root', status: 'completed', outcome: 'applied' })
    const asked = run.ask(limit)
    await built.manager.resumeSession(id, { confirmation: 'approve', request_id: await openOf(built, id) })
    await asked
    let next = await built.crash()
    let again = await next.puppet.next()
    expect(again.context.resumed).toMatchObject({ calls: 2, extended: { agent: 'root', calls: 2 } })
    expect(await again.ask(limit)).toEqual({ confirmation: 'approve' })
    await again.answer('two')
    await next.manager.getSession(id)
    next = await next.crash()
    again = await next.puppet.next()
    expect(again.context.resumed).toMatchObject({ calls: 3, extended: { agent: 'root', calls: 2 } })
    again.ask(limit).catch(() => {})
    expect(await openOf(next, id)).toBeDefined()
    await again.tell({
      type: 'message_added',
      message: { agent_name: 'other', message: { role: 'assistant', content: 'x' } },
    })
    await next.manager.getSession(id)
    next = await next.crash()
    again = await next.puppet.next()
    expect(again.context.resumed).toMatchObject({ calls: 4, extended: undefined })
    await again.end()
  })

  it('ends a run that was bound to its connection, and goes on with one that was not to end with it', async () => {
    const built = await resuming()
    const bound = await built.manager.createSession()
    const free = await built.manager.createSession()
    const begin = (id: string, onDisconnect: 'cancel' | 'continue') =>
      built.manager.runSession(
        id,
        { source: 'hand' },
        { messages: [{ content: 'x' }], trigger: 'stream', onDisconnect },
      )
    const first = await begin(bound.id, 'cancel')
    await built.puppet.next()
    const second = await begin(free.id, 'continue')
    await built.puppet.next()
    const next = await built.crash()
    expect(await endOf(next, bound.id, first.run.run_id)).toMatchObject({ stops: ['interrupted'] })
    await (await next.puppet.next()).end()
    expect(await endOf(next, free.id, second.run.run_id)).toMatchObject({ stops: ['normal'] })
  })

  it.each([
    ['ends at the next start', { recovery: 'interrupt' } as const],
    ['is stopped before it goes on', { recovery: 'resume', recoveryDelayMs: 1_000_000 } as const],
  ])('leaves no call without a result that had begun when it %s', async (_, options) => {
    const built = await house(options)
    const { id, run } = await running(built)
    await run.tell(calling('a', 'b', 'c'))
    await run.tell(toolCall('a'))
    await run.tell(toolCall('b'))
    await run.tell(toolResponse('b', 'done'))
    await built.manager.getSession(id)
    const { manager } = await built.crash()
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    const { messages = [] } = await manager.getSession(id)
    expect((messages ?? []).slice(2).map(({ message }) => message)).toMatchObject([
      { role: 'tool', tool_call_id: 'a', is_error: true, content: expect.stringContaining('unknown whether') },
      { role: 'tool', tool_call_id: 'b', content: 'done' },
    ])
    const ends = eventsOf(await readLog(manager, id), 'tool_call_response')
    expect(ends.map(({ tool_call_id, result }) => [tool_call_id, result?.isError])).toEqual([
      ['b', undefined],
      ['a', true],
    ])
  })

  it('gives up a run that was begun as often as it may be', async () => {
    const built = await resuming({ recoveryAttempts: 3 })
    const { id, runId } = await running(built)
    const second = await built.crash()
    await second.puppet.next()
    const third = await second.crash()
    await third.puppet.next()
    const last = await third.crash()
    const { stops, run } = await endOf(last, id, runId)
    expect(stops).toEqual(['error'])
    expect(run).toMatchObject({ status: 'failed', attempt: 3, error: { code: 'attempts_exhausted' } })
    expect(last.puppet.active.size).toBe(0)
  })

  it('does not count a process that ended in order', async () => {
    const built = await resuming({ recoveryAttempts: 1 })
    const { id, runId, run } = await running(built)
    await run.answer('said')
    const next = await built.restart()
    const again = await next.puppet.next()
    expect(eventsOf(await readLog(next.manager, id), 'run_recovered')).toMatchObject([
      { attempt: 1, cause: 'handover' },
    ])
    await again.end()
    expect(await endOf(next, id, runId)).toMatchObject({ stops: ['normal'] })
  })

  it('carries out a stop that was promised before the process died', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await resuming({ puppet })
    const { id, runId } = await running(built)
    await built.manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    const next = await built.crash()
    expect(await endOf(next, id, runId)).toMatchObject({ stops: ['canceled'], run: { status: 'canceled' } })
  })

  it.each(['approve', 'reject'] as const)(
    'asks a person where the session wants that, who may %s',
    async (confirmation) => {
      const built = await resuming()
      const { id, runId, next, request } = await asked(built)
      expect(request?.content).toEqual({ kind: 'recovery', attempt: 2, cause: 'crash' })
      await next.manager.resumeSession(id, { confirmation, request_id: request?.id })
      if (confirmation === 'approve') await (await next.puppet.next()).end()
      const stops = confirmation === 'approve' ? ['normal'] : ['interrupted']
      expect(await endOf(next, id, runId)).toMatchObject({ stops })
    },
  )

  it('says why it does not go on: in the words of who decided it, or that nobody did', async () => {
    const built = await resuming()
    const { id, runId, next, request } = await asked(built)
    await next.manager.resumeSession(id, { confirmation: 'reject', request_id: request?.id, reason: 'too late' })
    await endOf(next, id, runId)
    const late = await resuming()
    const expired = await asked(late, { request_deadline: '1ms' })
    await endOf(expired.next, expired.id, expired.runId)
    const runs = [await next.manager.getRun(id, runId), await expired.next.manager.getRun(expired.id, expired.runId)]
    expect(runs.map(({ error }) => error?.message)).toEqual([
      'the run shall not go on: too late',
      'the run shall not go on: nobody answered before the deadline',
    ])
  })

  it('waits with the same question when the process dies again before anybody has answered (M3)', async () => {
    const built = await resuming()
    const { id, runId, next, request } = await asked(built, { request_deadline: '1h' })
    const last = await next.crash()
    expect(await last.manager.getRequests(id)).toEqual([request])
    await last.manager.answerRequest(id, request?.id ?? '', { confirmation: 'approve' })
    await (await last.puppet.next()).end()
    expect(await endOf(last, id, runId)).toMatchObject({ stops: ['normal'] })
    const all = (await last.manager.findSessionRequests(id, { state: 'all', limit: 9 })).entries
    expect(all).toMatchObject([{ id: request?.id, state: 'answered', decider: 'client' }])
  })

  it('asks no more whether it shall go on when the session wants that it does', async () => {
    const built = await resuming()
    const { id, runId, next } = await asked(built)
    await next.manager.setSessionRecovery(id, 'resume')
    const last = await next.crash()
    expect(await last.manager.getRequests(id)).toEqual([])
    await (await last.puppet.next()).end()
    expect(await endOf(last, id, runId)).toMatchObject({ stops: ['normal'] })
  })

  it('is not asked about again when a person has said no and the process dies before the run has ended (M3)', async () => {
    const built = await resuming()
    const { id, runId, next, request } = await asked(built)
    await next.manager.resumeSession(id, { confirmation: 'reject', request_id: request?.id })
    next.store.hold()
    const last = await next.crash()
    expect(await endOf(last, id, runId)).toMatchObject({ stops: ['interrupted'] })
    expect((await last.manager.findSessionRequests(id, { state: 'all', limit: 9 })).entries).toHaveLength(1)
  })

  it('can be stopped while it waits for its next attempt', async () => {
    const built = await resuming({ recoveryDelayMs: 1_000_000 })
    const { id, runId } = await running(built)
    const next = await built.crash()
    expect((await next.manager.getSessionStatus(id)).streaming).toBe(true)
    expect(await next.manager.cancelRun(id, { by: 'test' }, { waitMs: patience })).toMatchObject({ stopped: true })
    expect(await endOf(next, id, runId)).toMatchObject({ stops: ['canceled'] })
  })

  it('fails when its agent is gone, and says so', async () => {
    const built = await resuming()
    const { manager, puppet } = built
    const { id } = await manager.createSession()
    await manager.attachRuntime(id, runtimeOf('guest', puppet))
    const { run } = await manager.runSession(id, { source: 'none' }, { messages: [{ content: 'x' }] })
    await puppet.next()
    const { stops, run: ended } = await endOf(await built.crash(), id, run.run_id)
    expect(stops).toEqual(['error'])
    expect(ended.error?.code).toBe('agent_unavailable')
  })

  it('waits for its task again, which goes on too', async () => {
    const built = await resuming()
    const { id, runId, run } = await running(built)
    await run.tell(calling('call-1'))
    await run.tell(toolCall('call-1'))
    const { task, delegation, worker, run: work } = await delegated(run)
    await work.say('half')
    await built.manager.getSession(task.id)
    await built.manager.getSession(id)
    const next = await built.crash()
    const again = await next.puppet.next()
    expect(again.context.resumed?.begun.has('call-1')).toBe(true)
    expect((await again.context.tasks.begin(delegation)).id).toBe(task.id)
    const workAgain = await worker.next()
    expect(workAgain.context.resumed?.cut).toBe('half')
    await workAgain.answer('result')
    await workAgain.end()
    expect(await again.context.tasks.ended(task.id)).toMatchObject({ status: 'completed', output: 'result' })
    await again.end()
    expect(await endOf(next, id, runId)).toMatchObject({ stops: ['normal'] })
    const log = await readLog(next.manager, id)
    expect(eventsOf(log, 'run_recovered').map(({ session_id }) => session_id)).toEqual([id, task.id])
    expect(eventsOf(log, 'run_recovered')[1]).toMatchObject({ root_run_id: runId })
    expect(eventsOf(log, 'sub_session_completed')).toHaveLength(1)
    expect(eventsOf(log, 'agent_switching').map(({ switching }) => switching)).toEqual([true, false])
    expect(eventsOf(log, 'stream_stopped').map(({ session_id }) => session_id)).toEqual([task.id, id])
  })

  it('finds the result of a task that had ended before the process died', async () => {
    const built = await resuming()
    const { id, run } = await running(built)
    await run.tell(calling('call-1'))
    await run.tell(toolCall('call-1'))
    const { task, delegation, run: work } = await delegated(run)
    await work.answer('result')
    await work.end()
    await run.context.tasks.ended(task.id)
    await built.manager.getSession(id)
    const next = await built.crash()
    const again = await next.puppet.next()
    expect(await again.context.tasks.begin(delegation)).toMatchObject({
      id: task.id,
      status: 'completed',
      output: 'result',
    })
    expect(await again.context.tasks.ended(task.id)).toMatchObject({ output: 'result' })
    expect(await next.manager.getChildren(id)).toHaveLength(1)
    await again.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
  })

  it.each(['interrupt', 'resume'] as const)(
    'tells once how tasks have ended whose end was committed below alone (%s)',
    async (recovery) => {
      const built = await house({ recovery })
      const { manager, store } = built
      const { id, runId, run } = await running(built)
      const waited = await delegated(run)
      const told = await delegated(run, true, true)
      await told.run.end()
      await run.context.tasks.ended(told.task.id)
      const lost = await delegated(run, true, true)
      for (const { run: work } of [lost, waited]) await work.answer('result')
      await manager.getSession(id)
      store.hold(id)
      for (const { task, run: work } of [lost, waited]) {
        await work.end()
        expect(await manager.waitStopped(task.id, patience)).toBe(true)
      }
      const next = await built.crash()
      if (recovery === 'resume') {
        const again = await next.puppet.next()
        const { task } = waited
        expect((await again.context.tasks.begin(waited.delegation)).id).toBe(task.id)
        expect(again.steering().map((text) => text.includes(lost.task.id))).toEqual([false, true])
        await again.end()
      }
      await next.manager.waitStopped(id, patience)
      const log = await readLog(next.manager, id)
      const ends = eventsOf(log, 'sub_session_completed')
      const ids = ends.map(({ sub_session }) => sub_session.id)
      expect(ids.toSorted()).toEqual([waited, told, lost].map(({ task }) => task.id).toSorted())
      expect(eventsOf(log, 'agent_switching').map(({ switching }) => switching)).toEqual([true, false])
      const waits = await next.manager.getInputs(id)
      const about = waits.map(({ message }) => message.content.includes(lost.task.id))
      expect(about).toEqual(recovery === 'resume' ? [] : [false, true])
      const [first] = ends.filter(({ sub_session }) => sub_session.id === lost.task.id)
      const said = first?.sub_session.messages?.map(({ message }) => message?.message.content)
      expect(said).toEqual(['work', 'result'])
      expect(await endOf(next, id, runId)).toBeDefined()
    },
  )

  it('stops the task that it waited for when it is stopped before it comes to it again', async () => {
    const built = await resuming()
    const { id, runId, run } = await running(built)
    const { task, run: work } = await delegated(run)
    await work.say('half')
    await built.manager.getSession(task.id)
    await built.manager.getSession(id)
    const next = await built.crash()
    await next.puppet.next()
    await next.manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    expect(await endOf(next, id, runId)).toMatchObject({ stops: ['canceled'] })
    const [ended] = (await next.manager.getRuns(task.id, { limit: 1 })).entries
    expect(ended).toMatchObject({ status: 'canceled', canceled: { by: 'parent' } })
  })

  it('stops the task that it waited for when its call ends without coming to it again (M6)', async () => {
    const built = await resuming()
    const { id, run } = await running(built)
    const { task, run: work } = await delegated(run)
    await work.say('half')
    await built.manager.getSession(task.id)
    await built.manager.getSession(id)
    const next = await built.crash()
    const again = await next.puppet.next()
    await again.tell(toolResponse('call-1', 'there is no such agent'))
    expect(await next.manager.waitStopped(task.id, patience)).toBe(true)
    const [ended] = (await next.manager.getRuns(task.id, { limit: 1 })).entries
    expect(ended).toMatchObject({ status: 'canceled', canceled: { by: 'parent' } })
    expect(await next.manager.explainSession(id)).toMatchObject({ state: 'running', reason: 'starting' })
    await again.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
    expect(eventsOf(await readLog(next.manager, id), 'sub_session_completed')).toHaveLength(1)
  })

  it.each([true, false])(
    'does with its tasks what was chosen for it meanwhile (in the background: %s)',
    async (back) => {
      const built = await resuming()
      const { manager } = built
      const { id, run } = await running(built)
      const { task } = await delegated(run, back)
      await manager.setSessionRecovery(id, 'interrupt')
      await manager.setSessionRecovery(id, back ? 'interrupt' : 'resume')
      const next = await built.crash()
      if (!back) await (await next.puppet.next()).end()
      for (const one of [id, task.id]) expect(await next.manager.waitStopped(one, patience)).toBe(true)
      const [left] = (await next.manager.getRuns(task.id, { limit: 1 })).entries
      expect(left).toMatchObject({ status: back ? 'interrupted' : 'canceled' })
    },
  )

  it('goes on with a task that nobody waits for, and says what came of it', async () => {
    const built = await resuming()
    const { id, runId, run } = await running(built)
    const { task } = await delegated(run, true, true)
    await run.end()
    expect(await endOf(built, id, runId)).toMatchObject({ stops: ['normal'] })
    const next = await built.crash()
    const work = await next.puppet.next()
    expect(work.context.conversation).toBe(task.id)
    await work.answer('found it')
    await work.end()
    const told = await next.puppet.next()
    expect(told.context.conversation).toBe(id)
    expect(told.context.history.at(-1)?.message?.message.content).toContain('found it')
    await told.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
  })

  it('lets no task end that nobody waits for while its parent cannot be told', async () => {
    const built = await resuming()
    const { id, runId, run } = await running(built)
    const { task, run: work } = await delegated(run, true, true)
    await run.end()
    await endOf(built, id, runId)
    built.store.hold(id)
    built.manager.updateSessionTitle(id, 'not committed').catch(() => {})
    await work.answer('found it')
    await work.end()
    for (let ticks = 0; ticks < 50; ticks += 1) await new Promise(setImmediate)
    expect((await built.manager.getRuns(task.id, { limit: 1 })).entries).toMatchObject([{ status: 'running' }])
    const next = await built.crash()
    const again = await next.puppet.next()
    expect(again.context.conversation).toBe(task.id)
    await again.end()
    const told = await next.puppet.next()
    expect(told.context.history.at(-1)?.message?.message.content).toContain('found it')
    await told.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
    expect(eventsOf(await readLog(next.manager, id), 'sub_session_completed')).toHaveLength(1)
  })

  it('is asked again for a compaction that the crash has cut, and not for one that has ended', async () => {
    const built = await resuming()
    const { id, run } = await running(built)
    await built.manager.compactSession(id, 'keep the names')
    expect(run.context.takeCompaction()).toEqual({ prompt: 'keep the names' })
    expect(run.context.takeCompaction()).toBeUndefined()
    const told = { type: 'session_compaction', agent_name: 'root' } as const
    await run.tell({ ...told, status: 'started' })
    await built.manager.getSession(id)
    const next = await built.crash()
    const again = await next.puppet.next()
    expect(again.context.takeCompaction()).toEqual({ prompt: 'keep the names' })
    await again.tell({ ...told, status: 'completed', outcome: 'applied' })
    await next.manager.getSession(id)
    const last = await next.crash()
    const run3 = await last.puppet.next()
    expect(run3.context.takeCompaction()).toBeUndefined()
    await run3.end()
    expect(await last.manager.waitStopped(id, patience)).toBe(true)
    const outcomes = eventsOf(await readLog(last.manager, id), 'session_compaction').map(({ outcome }) => outcome)
    expect(outcomes).toEqual([undefined, 'applied'])
  })

  it('tells a reader every event once, across the crash', async () => {
    const built = await resuming()
    const { id, run } = await running(built)
    await run.answer('x')
    const before = await readLog(built.manager, id)
    const next = await built.crash()
    await (await next.puppet.next()).end()
    await next.manager.waitStopped(id, patience)
    const log = await readLog(next.manager, id)
    expect(log.slice(0, before.length)).toEqual(before)
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
    expect(typesOf(log).filter((type) => type === 'stream_started')).toHaveLength(1)
    expect(await codeOf(next.manager.getRun(id, 'none'))).toBe('unknown_run')
  })
})

describe('a run whose commit has failed', () => {
  const house = useStore({ over: 'memory' })

  it('goes on by itself, as soon as commits succeed again, though nobody asks for its session (M4, M6)', async () => {
    const built = await house({ recovery: 'resume' })
    const { manager, store, puppet } = built
    const { id, runId, run } = await running(built)
    await run.answer('kept')
    await manager.getSession(id)
    // The second one is that of the run that goes on.
    store.fail('refused', 'refused')
    await run.say('lost')
    await run.left
    const again = await puppet.next()
    expect(again.context.resumed).toMatchObject({ calls: 1, cut: undefined })
    await again.end()
    const { stops, run: ended } = await endOf(built, id, runId)
    expect([stops, ended.attempt]).toEqual([['normal'], 2])
    expect(eventsOf(await readLog(manager, id), 'run_recovered')).toHaveLength(1)
  })

  it.each([
    { isBackground: false, what: 'that is waited for' },
    { isBackground: true, what: 'that nobody waits for' },
  ])('lets one $what go on when a commit of its session fails, as after a restart (M4)', async ({ isBackground }) => {
    const worker = new Puppet()
    const built = await house({ recovery: 'resume' })
    const { manager, store, puppet } = built
    const { id, runId, run } = await running(built)
    const deep = new Puppet()
    const open = () => runtimeOf('worker', worker)
    const below = () => runtimeOf('deep', deep)
    const { id: child } = await run.context.tasks.begin(taskOf(worker, { open, isBackground }))
    const work = await worker.next()
    const { id: deepest } = await work.context.tasks.begin(taskOf(deep, { open: below }))
    await (await deep.next()).say('half')
    await manager.getSession(deepest)
    store.hold(id)
    store.fail('refused')
    const lost = codeOf(manager.updateSessionTitle(id, 'a title'))
    while (store.waiting === 0) await new Promise(setImmediate)
    store.release()
    expect(await lost).toBe('store_unavailable')
    await work.left
    const back = await goneOn(puppet, isBackground ? [id, child] : [id])
    const again = back.get(id) ?? run
    expect((await again.context.tasks.begin(taskOf(worker, { open, isBackground }))).id).toBe(child)
    const ended = again.context.tasks.ended(child)
    // Nobody comes to a background task again: its session opens an agent of its own.
    const next = back.get(child) ?? (await worker.next())
    expect((await next.context.tasks.begin(taskOf(deep, { open: below }))).id).toBe(deepest)
    const last = await deep.next()
    await last.answer('deep')
    await last.end()
    expect(await next.context.tasks.ended(deepest)).toMatchObject({ status: 'completed', output: 'deep' })
    await next.answer('done')
    await next.end()
    expect(await ended).toMatchObject({ status: 'completed', output: 'done' })
    await again.end()
    await manager.waitStopped(id, patience)
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'completed', attempt: 2 })
    for (const task of [child, deepest]) {
      expect((await manager.getRuns(task, { limit: 9 })).entries).toMatchObject([{ status: 'completed', attempt: 1 }])
    }
    const log = await readLog(manager, id)
    const completed = eventsOf(log, 'sub_session_completed').map(({ sub_session }) => sub_session.id)
    expect(completed).toEqual(isBackground ? [child] : [deepest, child])
    expect(built.defects).toEqual([])
  })
})

describe('a task whose commit has failed', () => {
  const house = useStore({ over: 'memory' })

  /** The task fails to commit what it says, and nothing else fails. */
  async function lost({ store, manager }: House, child: string, work: PuppetRun): Promise<void> {
    await manager.getSession(child)
    store.hold(child)
    await work.say('half')
    await vi.waitUntil(() => store.waiting > 0, patience)
    // Which are stored at once, so that the next write is the one that waits.
    await ticks(20)
    store.fail('refused')
    store.release()
    await work.left
  }

  it('goes on when nobody waits for it, and says what came of it (M4)', async () => {
    const built = await house({ recovery: 'resume' })
    const { manager, puppet } = built
    const { id, runId, run } = await running(built)
    const { task, run: work } = await delegated(run, true, true)
    await run.end()
    await endOf(built, id, runId)
    await lost(built, task.id, work)
    const again = await puppet.next()
    expect(again.context.conversation).toBe(task.id)
    await again.answer('found it')
    await again.end()
    const told = await puppet.next()
    expect(told.context.history.at(-1)?.message?.message.content).toContain('found it')
    await told.end()
    expect(await manager.waitStopped(id, patience)).toBe(true)
    expect((await manager.getRuns(task.id, { limit: 9 })).entries).toMatchObject([{ status: 'completed', attempt: 2 }])
    expect(eventsOf(await readLog(manager, id), 'sub_session_completed')).toHaveLength(1)
  })

  it('is stopped with its parent also before it has been loaded again', async () => {
    const built = await house({ recovery: 'resume' })
    const { manager } = built
    const { id, runId, run } = await running(built)
    const { task, run: work } = await delegated(run, true)
    await run.end()
    await endOf(built, id, runId)
    await lost(built, task.id, work)
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    expect((await manager.getRuns(task.id, { limit: 9 })).entries).toMatchObject([{ status: 'canceled' }])
  })

  it('lets its parent not be loaded again before all is committed that it has recorded (L1)', async () => {
    const built = await house({ recovery: 'resume' })
    const { manager, store, puppet } = built
    const { id, runId, run } = await running(built)
    const { delegation, worker, run: work } = await delegated(run)
    store.hold(id)
    const titled = manager.updateSessionTitle(id, 'kept')
    await vi.waitUntil(() => store.waiting > 0, patience)
    store.fail('refused')
    await work.say('lost')
    await work.left
    await ticks(50)
    const seen = manager.getSession(id)
    await ticks(50)
    store.release()
    await titled
    expect(await seen).toMatchObject({ title: 'kept' })
    const again = await puppet.next()
    await again.context.tasks.begin(delegation)
    await (await worker.next()).end()
    await again.end()
    expect(await endOf(built, id, runId)).toMatchObject({ run: { status: 'completed' } })
    const log = await readLog(manager, id)
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, place) => place + 1))
  })

  it.each([false, true])(
    'does not fail the run that waits for its end (in the background: %s)',
    async (isBackground) => {
      const built = await house({ recovery: 'resume' })
      const { puppet } = built
      const { id, runId, run } = await running(built)
      const { task, delegation, worker, run: work } = await delegated(run, isBackground)
      const waited = run.context.tasks.ended(task.id).catch((failure: unknown) => run.fail(failure))
      await lost(built, task.id, work)
      await waited
      const back = await goneOn(puppet, isBackground ? [id, task.id] : [id])
      const again = back.get(id) ?? run
      await again.context.tasks.begin(delegation)
      const next = back.get(task.id) ?? (await worker.next())
      const ended = again.context.tasks.ended(task.id)
      await next.answer('done')
      await next.end()
      expect(await ended).toMatchObject({ status: 'completed', output: 'done' })
      await again.end()
      expect(await endOf(built, id, runId)).toMatchObject({ run: { status: 'completed', attempt: 1 } })
    },
  )
})

describe('a run that goes on', () => {
  const house = useStore({ over: 'memory' })
  const usage = { input_tokens: 5, output_tokens: 3, cached_input_tokens: 0, cached_write_tokens: 0 }

  it('is still told what it has spent before', async () => {
    const built = await house({ recovery: 'resume' })
    const { id, runId, run } = await running(built)
    await run.answer('one', { usage, cost: 2 })
    await built.manager.getSession(id)
    const next = await built.crash()
    const again = await next.puppet.next()
    await again.answer('two', { usage, cost: 1 })
    await again.end()
    const { run: ended } = await endOf(next, id, runId)
    expect(ended).toMatchObject({ cost: 3, usage: { input_tokens: 10, output_tokens: 6 } })
  })

  it('is handed over at once while it waits for its next attempt', async () => {
    const built = await house({ recovery: 'resume', recoveryDelayMs: 1_000_000 })
    const { id } = await running(built)
    const next = await built.crash()
    await next.manager.drain(patience * 10)
    expect(await next.manager.getRuns(id, { limit: 1 })).toMatchObject({ entries: [{ status: 'running', attempt: 2 }] })
    const last = await next.restart()
    await (await last.puppet.next()).end()
    expect(await last.manager.waitStopped(id, patience)).toBe(true)
    const recovered = eventsOf(await readLog(last.manager, id), 'run_recovered')
    expect(recovered.map(({ attempt, cause }) => [attempt, cause])).toEqual([
      [2, 'crash'],
      [2, 'handover'],
    ])
  })

  it('goes with its session when that is deleted while it waits for its next attempt', async () => {
    const built = await house({ recovery: 'resume', recoveryDelayMs: 1_000_000 })
    const { id } = await running(built)
    const next = await built.crash()
    expect(await next.manager.deleteSession(id, patience)).toEqual({ left: true })
    expect(await codeOf(next.manager.getSession(id))).toBe('unknown_session')
  })

  it.each<[string, RuntimeEvent]>([
    ['the model answers', { type: 'agent_choice', agent_name: 'root', content: 'so ' }],
    ['the model is asked', { type: 'agent_info', agent_name: 'root', model: 'test/m', description: '' }],
    ['its call has ended', toolResponse('c', 'unknown')],
  ])('settles what was asked and is not asked again as soon as %s', async (_, event) => {
    const built = await house({ recovery: 'resume' })
    const { id, run } = await running(built)
    run.ask(elicitation('where?', 'c')).catch(() => {})
    await built.manager.getRequests(id)
    const next = await built.crash()
    const again = await next.puppet.next()
    expect(await next.manager.getRequests(id)).toHaveLength(1)
    await again.tell(toolResponse('other', 'done'))
    expect(await next.manager.getRequests(id)).toHaveLength(1)
    await again.tell(event)
    expect(await next.manager.getRequests(id)).toEqual([])
    const settled = eventsOf(await readLog(next.manager, id), 'request_settled')
    expect(settled).toMatchObject([{ request: { state: 'expired', reason: 'asker_gone' } }])
    await again.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
  })

  it('begins a task anew whose parent has lost that it had begun', async () => {
    const built = await house({ recovery: 'resume' })
    const { id, run } = await running(built)
    built.store.hold(id)
    const worker = new Puppet()
    const delegation = {
      open: () => runtimeOf('worker', worker),
      task: 'work',
      title: 'work',
      callId: 'call-1',
      isBackground: false,
    }
    run.context.tasks.begin(delegation).catch(() => {})
    await built.store.flush()
    // It does not begin its work before its parent is known to know of it.
    expect(worker.active.size).toBe(0)
    const next = await built.crash()
    const again = await next.puppet.next()
    const task = await again.context.tasks.begin(delegation)
    const work = await worker.next()
    expect(work.context.conversation).toBe(task.id)
    await work.end()
    await again.end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
    const log = await readLog(next.manager, id)
    expect(eventsOf(log, 'stream_started')).toHaveLength(2)
    expect(eventsOf(log, 'stream_stopped')).toHaveLength(2)
  })

  it('is not mistaken for a task when people run the session of a task themselves', async () => {
    const built = await house({ recovery: 'resume' })
    const { id, run } = await running(built)
    const { task, run: work } = await delegated(run)
    await work.end()
    await run.context.tasks.ended(task.id)
    await built.manager.runSession(task.id, { source: 'hand' }, { messages: [] })
    await built.puppet.next()
    const next = await built.crash()
    for (let count = 0; count < 2; count += 1) await (await next.puppet.next()).end()
    expect(await next.manager.waitStopped(id, patience)).toBe(true)
    expect(await next.manager.waitStopped(task.id, patience)).toBe(true)
    expect(eventsOf(await readLog(next.manager, id), 'stream_stopped')).toHaveLength(2)
  })
})
