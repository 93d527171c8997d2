import { setImmediate as tick } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Explanation, endpoints, Refusal, type StateReason } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import { newRecord } from '../../src/session-manager/state/session-record.ts'
import { sayings } from '../../src/session-manager/views/explanation.ts'
import type { Facts } from '../../src/session-manager/views/session-facts.ts'
import { backends, codeOf, type House, patience, rested, running, useStore } from './house.ts'
import { added, approval, elicitation, Puppet, runtimeOf } from './test-agents.ts'

const messages = [{ content: 'x' }]
const model = { type: 'agent_info', agent_name: 'root', model: 'test/m', description: '' } as const
const exceeded = {
  budget: 'session',
  limit: 'max_cost',
  used: 2,
  max: 1,
  config_path: 'budget.max_cost',
  message: 'USD 2 of 1 are spent.',
} as const

/** How a session comes to be explained by a reason. A fresh house may be answered along, when another process goes on. */
type Arrange = (house: House) => Promise<string | { readonly house: House; readonly id: string }>

async function waiting(house: House, id: string): Promise<string> {
  await house.manager.steerSession(id, messages)
  return id
}

async function told(
  house: House,
  ...events: readonly Parameters<Awaited<ReturnType<typeof running>>['run']['tell']>[0][]
) {
  const { id, run } = await running(house)
  for (const event of events) await run.tell(event)
  return id
}

const tool_calls = [{ id: 'c', type: 'function', function: { name: 'shell', arguments: '{}' } }]

const cases: Record<Exclude<StateReason, 'held_by_hand'>, Arrange> = {
  never_ran: async ({ manager }) => (await manager.createSession()).id,
  at_rest: rested,
  async held_by_stop(house) {
    const { id } = await running(house)
    await waiting(house, id)
    await house.manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    return id
  },
  async held_by_failure(house) {
    const { id, run } = await running(house)
    await house.manager.followUpSession(id, messages)
    await run.fail(new RunFailure('model_error', 'the model is down'))
    await house.manager.waitStopped(id, patience)
    return id
  },
  async held_by_restart(house) {
    const { id } = await running(house)
    await house.manager.followUpSession(id, messages)
    return { house: await house.crash(), id }
  },
  async recovering(house) {
    const { id } = await running(house)
    return { house: await house.crash(), id }
  },
  async held_by_shutdown(house) {
    const id = await rested(house)
    await waiting(house, id)
    await house.manager.drain(0)
    return id
  },
  async agent_unavailable(house) {
    const id = await rested(house)
    house.agents.broken = new Refusal('agent_source_unavailable')
    await house.manager.followUpSession(id, messages)
    for (;;) {
      const { reason } = await house.manager.explainSession(id)
      if (reason !== 'opening_agent') return id
      await tick()
    }
  },
  queue_waits: async (house) => waiting(house, await rested(house)),
  async no_free_slot(house) {
    const id = await rested(house)
    await running(house)
    await house.manager.followUpSession(id, messages)
    return id
  },
  async opening_agent(house) {
    const id = await rested(house)
    const gate = Promise.withResolvers<void>()
    house.agents.loading = gate.promise
    await house.manager.followUpSession(id, messages)
    return id
  },
  starting: async (house) => (await running(house)).id,
  model: (house) => told(house, model),
  tools: (house) => told(house, model, added('', { tool_calls })),
  async tasks(house) {
    const { id, run } = await running(house)
    const open = () => runtimeOf('worker', new Puppet())
    await run.context.tasks.begin({ open, task: 'work', title: 'work', callId: 'c', isBackground: false })
    return id
  },
  hooks: (house) => told(house, added('x'), { type: 'hook_started', hook_event: 'stop' }),
  between_steps: (house) => told(house, model, added('x')),
  async person(house) {
    const { id, run } = await running(house)
    for (const question of [approval('c'), elicitation('well?')]) run.ask(question).catch(() => {})
    return id
  },
  async stop_requested(house) {
    const { id } = await running(house)
    await house.manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    return id
  },
  async stuck(house) {
    const { id } = await running(house)
    for (;;) {
      if ((await house.manager.explainSession(id)).state === 'stopping') return id
      await tick()
    }
  },
  async budget(house) {
    const { id, run } = await running(house)
    await run.tell({ type: 'budget_exceeded', agent_name: 'root', ...exceeded })
    await run.end('budget_exceeded')
    await house.manager.waitStopped(id, patience)
    return id
  },
}

/** What a house needs for a reason. */
const options: Partial<Record<StateReason, object>> = {
  no_free_slot: { maxConcurrentRuns: 1 },
  stop_requested: { puppet: new Puppet({ stubborn: true }) },
  stuck: { puppet: new Puppet({ stubborn: true }), runSilenceMs: 5 },
  held_by_restart: { recovery: 'interrupt' },
  recovering: { recovery: 'resume', recoveryDelayMs: 60_000 },
}

const reasons = Object.keys(cases) as (keyof typeof cases)[]

describe.each(backends)('an explanation over $over', (backend) => {
  const house = useStore(backend)

  it.each(reasons)('says %s, since when, and what would end it', async (reason) => {
    const built = await house(options[reason])
    const arranged = await cases[reason](built)
    const { house: now, id } = typeof arranged === 'string' ? { house: built, id: arranged } : arranged
    const told = Explanation.parse(await now.manager.explainSession(id))
    expect(told).toMatchObject({ session_id: id, reason, state: sayings[reason].state })
    expect(told.message).toMatch(/^[A-Za-z0-9].*\.$/)
    expect(told.message).not.toMatch(/undefined|NaN|\[object/)
    expect(Date.parse(told.since)).toBeLessThanOrEqual(Date.now())
    expect(told.ends_when.length).toBeGreaterThan(0)
    for (const { request } of told.ends_when)
      if (request !== undefined) expect(routes(id, told.activities)).toContain(request)
    const isGoing = ['running', 'waiting_for_person', 'stopping', 'recovering'].includes(told.state)
    expect([told.run_id !== undefined, told.activities.length > 0]).toEqual([isGoing, isGoing])
    for (const one of [...built.puppet.active]) await one.end()
  })

  it('names each question with the place for its answer, and the call that waits for it once', async () => {
    const built = await house()
    const { id, run } = await running(built)
    await run.tell(model)
    await run.tell(added('', { tool_calls }))
    run.ask(approval('c')).catch(() => {})
    const [request] = await built.manager.getRequests(id)
    const told = await built.manager.explainSession(id)
    expect(told.activities).toMatchObject([
      { kind: 'person', request_id: request?.id, tool_call_id: 'c', name: 'shell' },
    ])
    expect(told.ends_when).toMatchObject([
      {
        code: 'answer',
        message: expect.stringContaining(request?.id ?? '?'),
        request: `POST /api/sessions/${id}/requests/${request?.id}/answer`,
      },
      { code: 'cancel', request: `POST /api/sessions/${id}/cancel` },
    ])
    await run.end()
  })

  it('tells people who asks what, and what happens when nobody answers', async () => {
    const built = await house({ requestDeadlineMs: 3_600_000 })
    const { manager } = built
    const { id, run } = await running(built)
    const { content } = approval('c')
    const call = {
      id: 'c',
      type: 'function',
      function: { name: 'shell', arguments: `{"cmd":"rm -rf ${'x'.repeat(200)}"}` },
    }
    const questions = [
      run.ask({ content: { ...content, tool_call: call, metadata: { safety_label: 'destructive' } } }),
      run.ask(elicitation('which\none?')),
      run.ask({ content: { kind: 'continuation', max_iterations: 7 } }),
      run.ask(elicitation('and who?')),
    ]
    for (const question of questions) question.catch(() => {})
    const [first] = await manager.getRequests(id)
    const { message, ends_when } = await manager.explainSession(id)
    expect(message).toMatch(/for a person: root wants to call shell \{"cmd":"rm -rf x+…, a destructive call \(request /)
    expect(message).toContain('; root asks “which one?” (request ')
    expect(message).toContain('; root has made 7 model calls, its limit, and wants to make more (request ')
    expect(message).toMatch(/; and 1 more\.$/)
    expect(ends_when.find(({ code }) => code === 'deadline')?.message).toBe(
      `nobody has answered request ${first?.id}: it counts as deny, at ${first?.deadline}`,
    )
    await run.end()
  })

  it('tells the deadlines that the runtime and the server set', async () => {
    const built = await house({ runSilenceMs: 60_000, detachAfterMs: 60_000, puppet: new Puppet({ stubborn: true }) })
    const { manager } = built
    const { id } = await manager.createSession()
    const patient = { ...runtimeOf('root', built.puppet), patience: { modelMs: 1000, toolMs: 2000 } }
    await manager.attachRuntime(id, patient)
    await manager.runSession(id, { source: 'hand' }, { messages })
    const run = await built.puppet.next()
    const checkDeadline = async (milliseconds: number): Promise<void> => {
      const { deadline = '', activities } = await manager.explainSession(id)
      expect(activities.map((activity) => activity.deadline)).toEqual([deadline])
      const heard = Date.parse(activities[0]?.last_sign_of_life ?? activities[0]?.since ?? '')
      expect(Date.parse(deadline)).toBeGreaterThanOrEqual(heard + milliseconds - 5)
      expect(Date.parse(deadline)).toBeLessThanOrEqual(Date.now() + milliseconds + 5)
    }
    await checkDeadline(60_000)
    await run.tell(model)
    await checkDeadline(1000)
    await run.say('x')
    await checkDeadline(1000)
    await run.tell(added('', { tool_calls }))
    await checkDeadline(2000)
    await manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    await checkDeadline(60_000)
    await run.end()
  })

  it('tells a task in the background also of a session that is idle', async () => {
    const built = await house()
    const { id, run } = await running(built)
    const worker = new Puppet()
    const open = () => runtimeOf('worker', worker)
    const task = await run.context.tasks.begin({ open, task: 'work', title: 'work', callId: 'c', isBackground: true })
    await run.end()
    await built.manager.waitStopped(id, patience)
    const told = await built.manager.explainSession(id)
    expect(told).toMatchObject({
      reason: 'at_rest',
      activities: [{ kind: 'task', session_id: task.id, name: 'worker' }],
    })
    await (await worker.next()).end()
  })

  it('counts what a stop holds, while the run leaves and afterwards', async () => {
    const built = await house({ puppet: new Puppet({ stubborn: true }) })
    const { manager } = built
    const { id, run } = await running(built)
    await manager.followUpSession(id, messages)
    expect((await manager.explainSession(id)).queue).toEqual({ steer: 0, followup: 1, held: 0 })
    await manager.cancelRun(id, { by: 'test', reason: 'enough' }, { waitMs: 0 })
    expect((await manager.explainSession(id)).message).toContain('stopped by test (enough) at ')
    await manager.steerSession(id, messages)
    expect((await manager.explainSession(id)).queue).toEqual({ steer: 1, followup: 1, held: 1 })
    await run.end()
  })

  it('says that a person holds what waits, when nothing else does', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.followUpSession(id, messages)
    const [input] = await manager.getInputs(id)
    await manager.updateInput(id, input?.id ?? '', { held: true })
    await run.end()
    await manager.waitStopped(id, patience)
    expect(await manager.explainSession(id)).toMatchObject({
      state: 'idle',
      reason: 'held_by_hand',
      ends_when: [{ code: 'release', request: `GET /api/sessions/${id}/inputs` }],
    })
  })

  it('says that what was steered in waits for a run, however the last one has ended', async () => {
    const built = await house()
    const { manager } = built
    const stopped = await running(built)
    await manager.cancelRun(stopped.id, { by: 'test' }, { waitMs: patience })
    const failed = await running(built)
    await failed.run.fail(new RunFailure('model_error', 'the model is down'))
    await manager.waitStopped(failed.id, patience)
    for (const { id } of [stopped, failed]) {
      expect(await manager.explainSession(await waiting(built, id))).toMatchObject({
        reason: 'queue_waits',
        queue: { steer: 1, held: 0 },
      })
    }
  })

  it('says what holds the follow-ups that a stop has kept from starting a run, or a restart', async () => {
    const built = await house({ maxConcurrentRuns: 1, recovery: 'interrupt' })
    const ids = [await rested(built), await rested(built)] as const
    await running(built)
    for (const id of ids) await built.manager.followUpSession(id, messages)
    await built.manager.cancelRun(ids[0], { by: 'test' }, { waitMs: patience })
    expect(await built.manager.explainSession(ids[0])).toMatchObject({ reason: 'held_by_stop', queue: { held: 1 } })
    const { manager } = await built.crash()
    expect(await manager.explainSession(ids[1])).toMatchObject({ reason: 'held_by_restart', queue: { held: 1 } })
  })

  it('says that no run is about to begin when what was to start it is held or taken back', async () => {
    const built = await house({ maxConcurrentRuns: 1 })
    const { manager } = built
    const id = await rested(built)
    const { run } = await running(built)
    await manager.followUpSession(id, messages)
    const [input] = await manager.getInputs(id)
    const reason = async () => (await manager.explainSession(id)).reason
    expect(await reason()).toBe('no_free_slot')
    await manager.updateInput(id, input?.id ?? '', { held: true })
    expect(await reason()).toBe('held_by_hand')
    await manager.updateInput(id, input?.id ?? '', { held: false })
    expect(await reason()).toBe('no_free_slot')
    await manager.cancelInput(id, input?.id ?? '')
    expect(await reason()).toBe('at_rest')
    await run.end()
  })

  it('is refused for a session that is gone', async () => {
    const { manager } = await house()
    expect(await codeOf(manager.explainSession('none'))).toBe('unknown_session')
  })
})

describe('the table of reasons', () => {
  const facts: Facts = {
    record: newRecord({}, undefined),
    agent: 'root',
    run: undefined,
    activity: undefined,
    last: undefined,
    requests: [],
    tasks: [],
    queue: { steer: 1, followup: 0, held: 1 },
    isHeldByHand: true,
    heldBy: undefined,
    step: undefined,
    refused: undefined,
    isDraining: false,
    limits: { runSilenceMs: 1, detachAfterMs: 1 },
  }

  it('has words for input that a person holds', () => {
    const message = sayings.held_by_hand.message({ ...facts, activities: [] }, '')
    expect(message).toBe('A message waits for its next run: a person holds it.')
  })
})

/** All routes of a session and of those that work for it, as ways out name them. */
function routes(id: string, activities: Explanation['activities']): readonly string[] {
  const ids = [id, ...activities.flatMap(({ session_id }) => session_id ?? [])]
  const asked = ['', ...activities.flatMap(({ request_id }) => request_id ?? [])]
  return Object.values(endpoints).flatMap(({ method, path }) =>
    ids.flatMap((one) =>
      asked.map((request) => `${method} ${path.replace(':id', one).replace(':request_id', request)}`),
    ),
  )
}
