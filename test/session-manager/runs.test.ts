import { describe, expect, it } from 'vitest'
import { type Item, Refusal } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import {
  backends,
  codeOf,
  collect,
  eventsOf,
  follow,
  patience,
  readLog,
  rested,
  running,
  texts,
  typesOf,
  useStore,
} from './house.ts'
import { choice, echo, Puppet, runtimeOf } from './test-agents.ts'

const usage = { input_tokens: 3, output_tokens: 5, cached_input_tokens: 2, cached_write_tokens: 1 }
const never = new AbortController().signal

describe.each(backends)('runs over $over', (backend) => {
  const house = useStore(backend)

  it('streams a run from its first event to its last, and stores what was said', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession({ title: 'T' })
    const { run, events } = await manager.runSession(id, { source: 'chat' }, { messages: [{ content: 'hi' }] })
    const entries = await collect(events(never))
    expect(typesOf(entries)).toEqual([
      'session_title',
      'user_message',
      'stream_started',
      'agent_choice',
      'agent_choice',
      'agent_choice',
      'message_added',
      'stream_stopped',
    ])
    expect(entries[0]?.seq).toBe(run.first_seq)
    expect(entries.every(({ event }) => event.run_id === run.run_id && event.session_id === id)).toBe(true)
    expect(texts((await manager.getSession(id)).messages)).toEqual(['hi', 'you said hi'])
    const ended = await manager.getRun(id, run.run_id)
    expect(ended).toMatchObject({ status: 'completed', reason: 'normal', last_seq: entries.at(-1)?.seq, agent: 'chat' })
  })

  it('gives its stream only the events of its own run', async () => {
    const built = await house()
    const { manager } = built
    const id = await rested(built)
    const { events } = await manager.runSession(id, { source: 'chat' }, { messages: [{ content: 'two' }] })
    await manager.waitStopped(id, patience)
    await manager.runSession(id, { source: 'chat' }, { messages: [{ content: 'three' }] })
    await manager.waitStopped(id, patience)
    const entries = await collect(events(never))
    expect(eventsOf(entries, 'user_message').map(({ message }) => message)).toEqual(['two'])
    expect(entries.at(-1)?.event.type).toBe('stream_stopped')
  })

  it('goes on with the default agent when the file has lost the one that answers', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id, run } = await running(built)
    await run.tell({
      type: 'agent_switching',
      agent_name: 'root',
      switching: false,
      from_agent: 'root',
      to_agent: 'gone',
    })
    await run.end()
    await manager.waitStopped(id, patience)
    await manager.followUpSession(id, [{ content: 'go on' }])
    await (await puppet.next()).end()
    await manager.waitStopped(id, patience)
    expect(typesOf(await readLog(manager, id))).not.toContain('error')
    expect(await manager.getSessionStatus(id)).toMatchObject({ agent: 'root' })
  })

  it('refuses a second run while one goes on (M1)', async () => {
    const built = await house()
    const { id, run } = await running(built)
    const call = built.manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'too' }] })
    expect(await codeOf(call)).toBe('session_busy')
    expect(texts((await built.manager.getSession(id)).messages)).toEqual(['begin'])
    await run.end()
  })

  it('starts only one of two runs that are asked for at once (M1)', async () => {
    const { manager, puppet, agents } = await house()
    const { id } = await manager.createSession()
    const loading = Promise.withResolvers<void>()
    agents.loading = loading.promise
    const calls = ['a', 'b'].map((content) =>
      codeOf(manager.runSession(id, { source: 'hand' }, { messages: [{ content }] })),
    )
    loading.resolve()
    expect(await Promise.all(calls)).toEqual([undefined, 'session_busy'])
    await (await puppet.next()).end()
    await manager.waitStopped(id, patience)
    expect(agents.live).toBe(0)
    expect(texts((await manager.getSession(id)).messages)).toEqual(['a'])
  })

  it('switches the idle session to another agent of the URL', async () => {
    const built = await house({ sources: { team: { first: echo, second: echo } } })
    const { manager } = built
    const id = await rested(built)
    await manager.runSession(id, { source: 'team' }, { messages: [{ content: 'x' }] })
    await manager.waitStopped(id, patience)
    expect(await manager.getSessionStatus(id)).toMatchObject({ agent: 'first' })
    const { run } = await manager.runSession(id, { source: 'team', name: 'second' }, { messages: [{ content: 'x' }] })
    await manager.waitStopped(id, patience)
    expect(run).toMatchObject({ agent: 'team', agent_name: 'second' })
    expect(await manager.getSessionStatus(id)).toMatchObject({ agent: 'second' })
  })

  it.each([
    ['an unknown source', { source: 'nobody' }, undefined, 'unknown_agent'],
    ['an unknown agent of a known source', { source: 'hand', name: 'nobody' }, undefined, 'unknown_agent'],
    ['an unknown model', { source: 'hand' }, 'unknown', 'invalid_model'],
    ['a model for an agent that cannot switch', { source: 'chat' }, 'fast', 'model_switch_unsupported'],
  ])('changes nothing when a run is refused for %s', async (_, agent, model, code) => {
    const built = await house()
    const { manager } = built
    const id = await rested(built)
    const before = await manager.getSessionSnapshot(id)
    expect(await codeOf(manager.runSession(id, agent, { messages: [{ content: 'x' }], model }))).toBe(code)
    expect(await manager.getSessionSnapshot(id)).toEqual(before)
    expect(await manager.getSessionStatus(id)).toMatchObject({ agent: 'root', streaming: false })
    expect(built.agents.live).toBe(0)
  })

  it.each([
    ['one message', [{ role: 'user', content: 'a' }], ['a']],
    ['several messages', [{ content: 'a' }, { role: '', content: 'b' }], ['a', 'b']],
    [
      'a whole history',
      [
        { role: 'user', content: 'old' },
        { role: 'assistant', content: 'older answer' },
        { role: 'user', content: 'a' },
        { role: 'user', content: 'b' },
      ],
      ['a', 'b'],
    ],
    [
      'a history that ends with an answer',
      [
        { role: 'user', content: 'old' },
        { role: 'assistant', content: 'answer' },
      ],
      [],
    ],
    ['no messages', [], []],
  ])('stores what is new of %s, with ids that an edit takes', async (_, messages, fresh) => {
    const { manager, puppet } = await house()
    const { id } = await manager.createSession()
    await manager.runSession(id, { source: 'hand' }, { messages })
    const run = await puppet.next()
    expect(run.context.history.map((item: Item) => item.message?.message.content)).toEqual(fresh)
    await run.end()
    await manager.waitStopped(id, patience)
    const stored = (await manager.getSession(id)).messages ?? []
    expect(texts(stored)).toEqual(fresh)
    expect(stored.map(({ message }) => message.role)).toEqual(fresh.map(() => 'user'))
    for (const { id: messageId, message } of stored) {
      await manager.updateMessage(id, messageId ?? '', { agent_name: '', message })
    }
    const told = eventsOf(await readLog(manager, id), 'user_message')
    expect(told.map((event) => event.message_id)).toEqual(stored.map((message) => message.id))
  })

  it('chooses a model for a run and keeps it', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id } = await manager.createSession()
    await manager.runSession(id, { source: 'hand' }, { messages: [], model: 'clever' })
    const run = await puppet.next()
    expect(run.context.modelOf('root')).toBe('clever')
    await run.end()
    await manager.waitStopped(id, patience)
    for (const model of [undefined, '']) {
      await manager.runSession(id, { source: 'hand' }, { messages: [], model })
      const next = await puppet.next()
      expect(next.context.modelOf('root')).toBe('clever')
      await next.end()
      await manager.waitStopped(id, patience)
    }
    expect((await manager.getSession(id)).agent_model_overrides).toEqual({ root: 'clever' })
    const told = eventsOf(await readLog(manager, id), 'session_updated')
    expect(told.map(({ agent_model_overrides }) => agent_model_overrides)).toEqual([{ root: 'clever' }])
    // What the session has from now on is told before the run, and is none of its events.
    expect((await manager.getRuns(id, { limit: 3 })).entries.map(({ first_seq }) => first_seq)).toEqual([6, 4, 2])
  })

  it('leaves the model as it was when the run cannot be committed', async () => {
    const built = await house()
    const { manager, store } = built
    const id = await rested(built)
    store.fail('refused')
    const call = manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'x' }], model: 'clever' })
    expect(await codeOf(call)).toBe('store_unavailable')
    expect((await manager.getSession(id)).agent_model_overrides).toBeUndefined()
    expect(texts((await manager.getSession(id)).messages)).toEqual(['begin'])
    expect((await manager.availableSessionModels(id)).current_model_ref).toBe('fast')
  })

  it('offers models with exactly one current, an inline override appended', async () => {
    const built = await house()
    const { manager } = built
    const id = await rested(built)
    const offered = async () => {
      const { agent, current_model_ref, models } = await manager.availableSessionModels(id)
      expect(agent).toBe('root')
      expect(models.filter(({ is_current }) => is_current === true).map(({ ref }) => ref)).toEqual([current_model_ref])
      return [current_model_ref, models.map(({ ref }) => ref)]
    }
    expect(await offered()).toEqual(['fast', ['fast', 'clever']])
    await manager.setSessionAgentModel(id, 'clever')
    expect(await offered()).toEqual(['clever', ['fast', 'clever']])
    await manager.setSessionAgentModel(id, 'brand/new')
    expect(await offered()).toEqual(['brand/new', ['fast', 'clever', 'brand/new']])
    await manager.setSessionAgentModel(id, '')
    expect(await offered()).toEqual(['fast', ['fast', 'clever', 'brand/new']])
    expect(await codeOf(manager.setSessionAgentModel(id, 'nonsense'))).toBe('invalid_model')
    expect(built.agents.live).toBe(0)
  })

  it('refuses to switch models where they cannot be switched', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    await manager.runSession(id, { source: 'chat' }, { messages: [] })
    await manager.waitStopped(id, patience)
    expect(await codeOf(manager.availableSessionModels(id))).toBe('model_switch_unsupported')
    expect(await codeOf(manager.setSessionAgentModel(id, 'fast'))).toBe('model_switch_unsupported')
  })

  it('lets a failed store leave the model as it was', async () => {
    const built = await house()
    const { manager, store } = built
    const id = await rested(built)
    await manager.setSessionAgentModel(id, 'clever')
    store.fail('refused')
    expect(await codeOf(manager.setSessionAgentModel(id, 'fast'))).toBe('store_unavailable')
    expect((await manager.availableSessionModels(id)).current_model_ref).toBe('clever')
    expect(built.agents.live).toBe(0)
  })

  it('takes the policy of the author when nobody has chosen one', async () => {
    const author = new Puppet({ safetyPolicy: 'balanced' })
    const { manager } = await house({ sources: { careful: { root: author } } })
    const free = await manager.createSession()
    const chosen = await manager.createSession({ safety_policy: 'strict' })
    for (const { id } of [free, chosen]) {
      await manager.runSession(id, { source: 'careful' }, { messages: [] })
      await (await author.next()).end()
    }
    expect((await manager.getSession(free.id)).safety_policy).toBe('balanced')
    expect((await manager.getSession(chosen.id)).safety_policy).toBe('strict')
    const told = eventsOf(await readLog(manager, free.id), 'session_updated')
    expect(told.map(({ safety_policy }) => safety_policy)).toEqual(['balanced'])
    expect(eventsOf(await readLog(manager, chosen.id), 'session_updated')).toEqual([])
  })

  it('keeps usage, cost and tokens of what a run tells', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    await run.answer('one', { usage, cost: 0.5 })
    await run.answer('two', { usage, cost: 0.25 })
    await run.tell({
      type: 'token_usage',
      usage: { input_tokens: 9, output_tokens: 8, context_length: 17, context_limit: 100, cost: 0.75 },
    })
    await run.tell({ type: 'session_summary', summary: 'short', cost: 1 })
    await run.end()
    await manager.waitStopped(id, patience)
    expect(await manager.getRun(id, runId)).toMatchObject({
      cost: 0.75,
      usage: { input_tokens: 6, output_tokens: 10, cached_input_tokens: 4, cached_write_tokens: 2 },
    })
    expect(await manager.getSessionSnapshot(id)).toMatchObject({ cost: 1.75, input_tokens: 9, output_tokens: 8 })
  })

  it.each([
    ['a failure', new RunFailure('rate_limited', 'slow down'), 'error', 'rate_limited'],
    ['a loop', new RunFailure('loop_detected', 'again', { reason: 'loop_detected' }), 'loop_detected', 'loop_detected'],
    ['a defect', new TypeError('oops'), 'error', 'internal'],
  ])('ends a run with %s, keeps what it had said, and can run again (M4)', async (_, error, reason, code) => {
    const built = await house()
    const { manager, defects } = built
    const { id, runId, run } = await running(built)
    await run.say('half an ')
    await run.fail(error)
    await manager.waitStopped(id, patience)
    const log = await readLog(manager, id)
    expect(typesOf(log).slice(-3)).toEqual(['message_added', 'error', 'stream_stopped'])
    expect(eventsOf(log, 'error')[0]).toMatchObject({ code, run_id: runId, agent_name: 'root' })
    expect(eventsOf(log, 'stream_stopped')[0]).toMatchObject({ reason, run_id: runId })
    const messages = (await manager.getSession(id)).messages ?? []
    expect(messages.at(-1)?.message).toMatchObject({ content: 'half an ', finish_reason: 'interrupted' })
    expect(await manager.getRun(id, runId)).toMatchObject({ status: 'failed', reason, error: { code } })
    expect(defects).toEqual(code === 'internal' ? [error] : [])
    expect(log.map(({ event }) => JSON.stringify(event)).join()).not.toContain('oops')
    await manager.runSession(id, { source: 'chat' }, { messages: [{ content: 'again' }] })
    expect(await manager.waitStopped(id, patience)).toBe(true)
  })

  it('lists runs newest first and finds one', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    expect(await manager.getRun(id, runId)).toMatchObject({ run_id: runId, status: 'running' })
    await run.end()
    await manager.waitStopped(id, patience)
    const { run: second } = await manager.runSession(id, { source: 'chat' }, { messages: [] })
    await manager.waitStopped(id, patience)
    const page = await manager.getRuns(id, { limit: 1 })
    expect(page.entries.map((entry) => entry.run_id)).toEqual([second.run_id])
    const rest = await manager.getRuns(id, { limit: 1, cursor: page.next })
    expect(rest.entries.map((entry) => entry.run_id)).toEqual([runId])
    expect(await codeOf(manager.getRun(id, 'nobody'))).toBe('unknown_run')
  })

  it('refuses a run beyond the limit, and gives slots to waiting follow-ups in order', async () => {
    const built = await house({ maxConcurrentRuns: 1 })
    const { manager, puppet } = built
    const ids = [await rested(built), await rested(built), await rested(built)]
    const first = await running(built)
    const { id: late } = await manager.createSession()
    const refused = () => codeOf(manager.runSession(late, { source: 'hand' }, { messages: [{ content: 'x' }] }))
    expect(await refused()).toBe('too_many_runs')
    for (const id of ids) await manager.followUpSession(id, [{ content: id }])
    await first.run.end()
    for (const id of ids) {
      const run = await puppet.next()
      expect(run.context.history.at(-1)?.message?.message.content).toBe(id)
      expect(puppet.active.size).toBe(1)
      expect(await refused()).toBe('too_many_runs')
      await run.end()
    }
    for (const id of ids) await manager.waitStopped(id, patience)
    expect(await refused()).toBeUndefined()
    expect(built.agents.live).toBe(1)
    await (await puppet.next()).end()
  })

  it('gives a slot back that a stopped session waited for', async () => {
    const built = await house({ maxConcurrentRuns: 1 })
    const { manager, puppet } = built
    const [held, wanted] = [await rested(built), await rested(built)]
    const first = await running(built)
    await manager.followUpSession(held, [{ content: 'held' }])
    await manager.followUpSession(wanted, [{ content: 'wanted' }])
    expect(await manager.cancelRun(held, { by: 'test' }, { waitMs: patience })).toEqual({
      stopped: true,
      run: undefined,
    })
    await first.run.end()
    const run = await puppet.next()
    expect(run.context.history.at(-1)?.message?.message.content).toBe('wanted')
    await run.end()
    expect((await manager.getQueue(held)).followup.depth).toBe(1)
  })

  it('gives the slot of a start from the queue to a run of the same session that is ready before it', async () => {
    const first = await house()
    const id = await rested(first)
    const { manager, agents, puppet } = await first.crash({ maxConcurrentRuns: 1 })
    const ready = Promise.withResolvers<void>()
    agents.loading = ready.promise
    await manager.followUpSession(id, [{ content: 'waits' }])
    await expect.poll(async () => (await manager.explainSession(id)).reason).toBe('opening_agent')
    await manager.attachRuntime(id, runtimeOf('root', puppet))
    await manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'now' }] })
    const run = await puppet.next()
    ready.resolve()
    expect(run.followUp()).toBe('waits')
    const { id: late } = await manager.createSession()
    const start = () => codeOf(manager.runSession(late, { source: 'hand' }, { messages: [{ content: 'x' }] }))
    expect(await start()).toBe('too_many_runs')
    await run.end()
    await manager.waitStopped(id, patience)
    expect(await start()).toBeUndefined()
    await (await puppet.next()).end()
  })

  it('gives a slot back as soon as a start from the queue is stopped, though its agent is still being opened', async () => {
    const first = await house()
    const id = await rested(first)
    const { manager, agents, puppet } = await first.crash({ maxConcurrentRuns: 1 })
    const [loaded, ready] = [agents.loading, Promise.withResolvers<void>()]
    agents.loading = ready.promise
    await manager.followUpSession(id, [{ content: 'waits' }])
    await expect.poll(async () => (await manager.explainSession(id)).reason).toBe('opening_agent')
    agents.loading = loaded
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    const { id: other } = await manager.createSession()
    await manager.runSession(other, { source: 'hand' }, { messages: [{ content: 'x' }] })
    const run = await puppet.next()
    ready.resolve()
    await run.end()
    await manager.waitStopped(other, patience)
    expect(await manager.getInputs(id)).toMatchObject([{ state: 'held', held_by: 'stop' }])
  })

  it('tells the end of a run only once it is committed', async () => {
    const built = await house()
    const { manager, store } = built
    const { id, run } = await running(built)
    store.hold()
    let told = false
    const stop = manager.cancelRun(id, { by: 'test' }, { waitMs: patience }).finally(() => {
      told = true
    })
    await run.left
    await new Promise(setImmediate)
    expect(told).toBe(false)
    store.release()
    expect(await stop).toMatchObject({ stopped: true, run: { status: 'canceled' } })
  })

  it('lets a runtime go when the session cannot take its events', async () => {
    let cleaned = false
    const built = await house({
      sources: {
        loud: {
          root: {
            async *script() {
              try {
                for (;;) yield { ...choice('x'), [Symbol.iterator]: 1, toJSON: () => BigInt(1) }
              } finally {
                cleaned = true
              }
            },
          },
        },
      },
    })
    const { manager } = built
    const { id } = await manager.createSession()
    const { run } = await manager.runSession(id, { source: 'loud' }, { messages: [] })
    await follow(manager, id, 'stream_stopped')
    await manager.waitStopped(id, patience)
    expect(await manager.getRun(id, run.run_id)).toMatchObject({ status: 'failed', error: { code: 'internal' } })
    expect(cleaned).toBe(true)
    expect(built.defects).toHaveLength(1)
  })

  it('refuses a run, and changes nothing, when the history cannot be read', async () => {
    const built = await house()
    const id = await rested(built)
    const next = await built.restart()
    await next.manager.getSession(id, 'none')
    next.store.failReads(true)
    const call = next.manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'x' }] })
    expect(await codeOf(call)).toBe('store_unavailable')
    next.store.failReads(false)
    expect((await next.manager.getSessionStatus(id)).streaming).toBe(false)
    expect(texts((await next.manager.getSession(id)).messages)).toEqual(['begin'])
    expect(next.agents.live).toBe(0)
  })

  it('tells why a queued run cannot start, keeps its input and tries again with the next', async () => {
    const built = await house()
    const { manager, agents, puppet } = built
    const id = await rested(built)
    agents.broken = new Refusal('invalid_agent_file', 'line 3 is wrong')
    await manager.followUpSession(id, [{ content: 'one' }])
    const { seq, event } = await follow(manager, id, 'error')
    expect(event).toMatchObject({ code: 'agent_unavailable', error: 'line 3 is wrong' })
    expect((await manager.getQueue(id)).followup.depth).toBe(1)
    agents.broken = undefined
    await manager.followUpSession(id, [{ content: 'two' }])
    const run = await puppet.next()
    expect(run.followUp()).toBe('two')
    await run.end()
    await manager.waitStopped(id, patience)
    expect(eventsOf(await readLog(manager, id, seq), 'user_message').map(({ message }) => message)).toEqual([
      'one',
      'two',
    ])
  })

  it('lets go of a runtime that was opened for nothing', async () => {
    const built = await house()
    const { manager, agents } = built
    const id = await rested(built)
    const loading = Promise.withResolvers<void>()
    agents.loading = loading.promise
    await manager.followUpSession(id, [{ content: 'x' }])
    await manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    loading.resolve()
    await manager.updateSessionTitle(id, 'settled')
    agents.loading = Promise.resolve()
    expect(await codeOf(manager.runSession(id, { source: 'chat' }, { messages: [] }))).toBeUndefined()
    await manager.waitStopped(id, patience)
    expect(agents.live).toBe(0)
  })
})
