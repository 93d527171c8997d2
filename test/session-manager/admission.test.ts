import { describe, expect, it } from 'vitest'
import type { IfBusy, InputMessage } from '../../src/protocol/protocol.ts'
import { type Admission, admissions, type Busyness } from '../../src/session-manager/inputs/admission.ts'
import type { SubmitOptions } from '../../src/session-manager/session-manager.ts'
import {
  backends,
  codeOf,
  collect,
  type Entry,
  eventsOf,
  follow,
  type House,
  patience,
  readLog,
  rested,
  running,
  texts,
  useStore,
} from './house.ts'
import { approval, Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

const policies: readonly IfBusy[] = ['reject', 'enqueue', 'steer', 'interrupt', 'rollback']
const states: readonly Busyness[] = ['idle', 'starting', 'running', 'stopping', 'deleting']
const cells = policies.flatMap((policy) =>
  states.map((state) => ({ policy, state, outcome: admissions[policy][state], told: told(admissions[policy][state]) })),
)

function told(outcome: Admission): string {
  return typeof outcome === 'object' ? outcome.refuse : outcome
}

const say = (...contents: readonly string[]): InputMessage[] => contents.map((content) => ({ content }))
const signal = new AbortController().signal

function asked(run: PuppetRun): readonly (string | undefined)[] {
  return run.context.history.map((item) => item.message?.message.content)
}

function submit({ manager }: House, id: string, ifBusy: IfBusy, text: string, more: Partial<SubmitOptions> = {}) {
  return manager.submit(id, { source: 'hand' }, { messages: say(text), ifBusy, ...more })
}

/** A session in a state, with a run that takes no notice of being stopped. */
const sessions: Record<Busyness, (house: House) => Promise<string>> = {
  idle: rested,
  async starting(house) {
    const id = await rested(house)
    house.agents.loading = loading.promise
    await house.manager.followUpSession(id, say('waits'))
    // Whoever comes next is not held up by what holds the queue up.
    await house.manager.attachRuntime(id, runtimeOf('root', house.puppet))
    return id
  },
  running: async (house) => (await running(house)).id,
  async stopping(house) {
    const { id } = await running(house)
    await house.manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    return id
  },
  async deleting(house) {
    const { id } = await running(house)
    await house.manager.deleteSession(id)
    return id
  },
}

let loading = Promise.withResolvers<void>()

it('has an outcome for everything that can be wanted in every state, and no other', () => {
  expect(Object.keys(admissions)).toEqual(policies)
  for (const row of Object.values(admissions)) expect(Object.keys(row)).toEqual(states)
})

describe.each(backends)('what a busy session does over $over', (backend) => {
  const house = useStore(backend)

  it.each(cells)('answers $policy while $state with $told (M1, M2)', async ({ policy, state, outcome }) => {
    loading = Promise.withResolvers()
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager } = built
    const id = await sessions[state](built)
    const before = state === 'running' || state === 'stopping' ? [...puppet.active][0] : undefined
    const call = submit(built, id, policy, 'mine')
    if (typeof outcome === 'object') {
      expect(await codeOf(call)).toBe(outcome.refuse)
      loading.resolve()
      await before?.end()
      for (const run of puppet.active) await run.end()
      return
    }
    if (outcome === 'interrupt' || outcome === 'rollback') {
      await taken(built)
      expect(before?.context.signal.aborted).toBe(true)
      await before?.end()
    }
    const { status, inputIds } = await call
    loading.resolve()
    const [input] = (await manager.getInputs(id)).filter(({ id }) => inputIds.includes(id))
    if (outcome === 'queue') expect([status, input?.kind, input?.state]).toEqual(['queued', 'followup', 'queued'])
    else if (outcome === 'steer') expect([status, input?.kind, input?.state]).toEqual(['steered', 'steer', 'queued'])
    else expect([status, inputIds]).toEqual(['started', []])
    if (outcome === 'steer') expect(before?.steering()).toEqual(['mine'])
    expect(puppet.active.size).toBeLessThanOrEqual(1)
    for (let run = [...puppet.active][0]; ; run = [...puppet.active][0]) {
      await run?.end()
      await manager.waitStopped(id, patience)
      if ((await manager.getInputs(id)).length === 0 && puppet.active.size === 0) break
      await new Promise(setImmediate)
    }
    const said = texts((await manager.getSession(id)).messages)
    expect(said.filter((text) => text === 'mine')).toEqual(['mine'])
    expect(said.includes('begin')).toBe(outcome !== 'rollback')
  })

  it('shows the run that takes a queued request from its first event to its last', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id, run } = await running(built)
    const submission = await submit(built, id, 'enqueue', 'later', { model: 'clever', sentBy: 'me' })
    const { inputIds } = submission
    const stream = manager.readSubmission(submission, signal).then(collect)
    expect(await manager.getInputs(id)).toMatchObject([{ sent_by: 'me', agent: 'hand', model: 'clever' }])
    expect(run.followUp()).toBeUndefined()
    await run.end()
    const next = await puppet.next()
    expect([asked(next).at(-1), next.context.modelOf('root')]).toEqual(['later', 'clever'])
    await next.say('x')
    await next.end()
    const shown = await stream
    const [newest] = (await manager.getRuns(id, { limit: 1 })).entries
    expect([shown.at(0)?.seq, shown.at(-1)?.seq]).toEqual([newest?.first_seq, newest?.last_seq])
    expect(await manager.getInput(id, inputIds[0] ?? '')).toMatchObject({ state: 'delivered', run_id: newest?.run_id })
  })

  it('ends the stream of a queued request without an event when it is cancelled', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const submission = await submit(built, id, 'enqueue', 'never')
    const { inputIds } = submission
    const stream = manager.readSubmission(submission, signal).then(collect)
    await manager.cancelInput(id, inputIds[0] ?? '')
    expect(await stream).toEqual([])
    expect(run.followUp()).toBeUndefined()
    await run.end()
    expect(texts((await manager.getSession(id)).messages)).toEqual(['begin'])
  })

  it('shows a steered request the run that goes on, from there', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    await run.say('before')
    const since = (await manager.getSessionSnapshot(id)).last_event_seq
    const submission = await submit(built, id, 'steer', 'look')
    const stream = manager.readSubmission(submission, signal).then(collect)
    expect(run.steering()).toEqual(['look'])
    await run.end()
    const shown: readonly Entry[] = await stream
    expect(shown[0]).toMatchObject({ seq: since + 1, event: { type: 'input_queued' } })
    expect(shown.at(-1)?.event).toMatchObject({ type: 'stream_stopped', run_id: runId })
  })

  it('lets a follow-up that wants another agent wait for a run of its own, in its order (M2)', async () => {
    const other = new Puppet()
    const built = await house({ sources: { other: { root: other } } })
    const { manager, puppet } = built
    const { id, run } = await running(built)
    await manager.submit(id, { source: 'other' }, { messages: say('for another'), ifBusy: 'enqueue' })
    await manager.followUpSession(id, say('for anybody'))
    expect(run.followUp()).toBeUndefined()
    await run.end()
    const second = await other.next()
    expect([asked(second).at(-1), second.followUp()]).toEqual(['for another', 'for anybody'])
    await second.end()
    expect(puppet.unseen).toBe(0)
  })

  it('gives up on a follow-up whose agent is gone when its turn comes, and goes on with the next', async () => {
    const built = await house({ sources: { other: { root: new Puppet() } } })
    const { manager, agents, puppet } = built
    const { id, run } = await running(built)
    const { inputIds } = await manager.submit(id, { source: 'other' }, { messages: say('x'), ifBusy: 'enqueue' })
    await manager.followUpSession(id, say('next'))
    agents.forget('other')
    await run.end()
    const next = await puppet.next()
    expect(asked(next).at(-1)).toBe('next')
    const failed = await manager.getInput(id, inputIds[0] ?? '')
    expect(failed).toMatchObject({ state: 'failed', error: { code: 'unknown_agent' } })
    await expect(manager.cancelInput(id, failed.id)).rejects.toThrow('The input has failed: There is no such agent')
    await next.end()
  })

  it('begins the run that interrupts before anything that waits, held or not, and keeps what was done', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id, runId, run } = await running(built)
    await manager.followUpSession(id, say('waits'))
    const [waiting] = await manager.getInputs(id)
    await manager.updateInput(id, waiting?.id ?? '', { held: true })
    await manager.steerSession(id, say('steered'))
    await run.say('cut')
    const { status, run: second } = await submit(built, id, 'interrupt', 'now')
    const next = await puppet.next()
    expect(status).toBe('started')
    expect(asked(next)).toEqual(['begin', 'cut', 'now'])
    expect([next.steering(), next.followUp()]).toEqual([['steered'], undefined])
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'canceled', canceled: { by: 'client' } })
    expect(second?.run_id).not.toBe(runId)
    await next.end()
    expect(await manager.getInputs(id)).toMatchObject([{ state: 'held', held_by: 'client' }])
  })

  it('runs all that interrupt at once in order, each stopped by the next (M1, M4)', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet, maxConcurrentRuns: 1 })
    const { manager } = built
    const { id, run } = await running(built)
    const all = ['a', 'b', 'c'].map((text) => submit(built, id, 'interrupt', text))
    await taken(built, 4)
    for (let current: PuppetRun | undefined = run; current !== undefined; ) {
      await current.end()
      current = puppet.unseen > 0 || !(await isOver(all)) ? await puppet.next() : undefined
      if (current !== undefined && asked(current).at(-1) === 'c') break
    }
    const last = [...puppet.active][0]
    expect(last?.context.signal.aborted).toBe(false)
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual(['started', 'started', 'started'])
    expect(texts((await manager.getSession(id)).messages)).toEqual(['begin', 'a', 'b', 'c'])
    const statuses = (await manager.getRuns(id, { limit: 9 })).entries.map(({ status }) => status)
    expect(statuses).toEqual(['running', 'canceled', 'canceled', 'canceled'])
    await last?.end()
  })

  it('begins the run that waits for its turn although a stop comes meanwhile', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager } = built
    const { id, run } = await running(built)
    const waits = submit(built, id, 'interrupt', 'now')
    await manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    await run.end()
    expect((await waits).status).toBe('started')
    const next = await puppet.next()
    expect(asked(next)).toEqual(['begin', 'now'])
    await next.end()
  })

  it('refuses who waits for its turn when the session is deleted, and when nothing can be committed', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager, store, agents } = built
    for (const how of ['unknown_session', 'store_unavailable'] as const) {
      const { id, run } = await running(built)
      const call = codeOf(submit(built, id, 'interrupt', 'x'))
      await taken(built)
      if (how === 'unknown_session') await manager.deleteSession(id)
      else {
        store.fail('refused')
        await codeOf(manager.setSessionStarred(id, true))
      }
      expect(await call).toBe(how)
      await run.end()
    }
    for (let run = [...puppet.active][0]; run !== undefined; run = [...puppet.active][0]) await run.end()
    await new Promise(setImmediate)
    expect(agents.live).toBe(0)
  })

  it('refuses a request that has nothing to say and cannot run now', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const call = manager.submit(id, { source: 'hand' }, { messages: [], ifBusy: 'enqueue' })
    expect(await codeOf(call)).toBe('invalid_request')
    await run.end()
  })

  it('takes a run back with its tools told, and keeps what it has cost (M4)', async () => {
    const built = await house()
    const { manager, puppet } = built
    const id = await rested(built)
    const { run: undone } = await manager.runSession(id, { source: 'hand' }, { messages: say('wrong') })
    const run = await puppet.next()
    await manager.followUpSession(id, say('taken'))
    expect(run.followUp()).toBe('taken')
    const { tool_call, tool_definition } = approval('call', 'shell').content
    await run.tell({ type: 'tool_call', tool_call, tool_definition, agent_name: 'root' })
    await run.answer('done', { cost: 2 })
    await run.say('cut')
    await submit(built, id, 'rollback', 'right')
    const next = await puppet.next()
    expect(asked(next).filter((text) => text !== undefined)).toEqual(['begin', 'right'])
    await next.end()
    await manager.waitStopped(id, patience)

    const log = await readLog(manager, id)
    const [told] = eventsOf(log, 'run_rolled_back')
    const stop = log.findIndex(({ event }) => event.type === 'run_rolled_back')
    expect(told).toMatchObject({
      run_id: undone.run_id,
      from_seq: undone.first_seq,
      to_seq: log[stop - 1]?.seq,
      tools_run: [{ tool_call_id: 'call', name: 'shell' }],
    })
    expect(told?.message_ids).toHaveLength(4)
    expect(log[stop + 1]?.event).toMatchObject({ type: 'stream_stopped', run_id: undone.run_id })
    expect(await manager.getRun(id, undone.run_id)).toMatchObject({ status: 'canceled', rolled_back: true })

    const reloaded = await built.crash()
    for (const { manager } of [reloaded]) {
      const snapshot = await manager.getSessionSnapshot(id)
      expect([texts(snapshot.messages), snapshot.cost]).toEqual([['begin', 'right'], 2])
      expect((await manager.getSessionStatus(id)).num_messages).toBe(2)
      const { sessions } = await manager.batchExportSessions([id])
      const shown = sessions[0]?.messages?.map(({ message, rolled_back }) => [message.content, rolled_back])
      expect(shown).toEqual([
        ['begin', undefined],
        ...['wrong', 'taken', 'done', 'cut'].map((text) => [text, true]),
        ['right', undefined],
      ])
      expect((await manager.exportSessionForRecovery(id)).messages).toHaveLength(6)
      const fork = await manager.forkSession(id, 1)
      expect(texts(fork.messages)).toEqual(['begin'])
      const { messages } = await manager.getMessages(id, { limit: 100, from: 0 })
      expect(texts(messages)).toEqual(['begin', 'right'])
      const [gone = ''] = told?.message_ids ?? []
      const edit = { agent_name: '', message: { role: 'user', content: 'x' } } as const
      expect(await codeOf(manager.updateMessage(id, gone, edit))).toBe('unknown_message')
      const added = await manager.addMessage(id, edit)
      const event = (await follow(manager, id, 'message_added', log.length)).event
      expect([event.message_id, event.session_position]).toEqual([added, 6])
    }
  })
})

/** Resolves when so many runtimes are open and what waited for the last of them has been decided. */
async function taken({ agents }: House, count = 2): Promise<void> {
  while (agents.live < count) await new Promise(setImmediate)
  await new Promise(setImmediate)
}

async function isOver(calls: readonly Promise<unknown>[]): Promise<boolean> {
  const pending = Symbol('pending')
  const last = calls.at(-1)
  return (await Promise.race([last, new Promise((resolve) => setImmediate(() => resolve(pending)))])) !== pending
}
