import { describe, expect, it } from 'vitest'
import type { InputMessage, QueuedInput } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import { type QueueCause, type QueueFate, queueRules } from '../../src/session-manager/inputs/queue-rules.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { backends, build, codeOf, eventsOf, type House, patience, readLog, rested, running, useStore } from './house.ts'
import { Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

const say = (...contents: readonly string[]): InputMessage[] => contents.map((content) => ({ content }))

const causes = Object.keys(queueRules) as readonly QueueCause[]
const kinds = ['steer', 'followup', 'held'] as const
const cells = causes.flatMap((cause) => kinds.map((kind) => ({ cause, kind, fate: queueRules[cause][kind] })))

/** A run behind which one message of the kind waits. */
interface Scene {
  readonly house: House
  readonly id: string
  readonly run: PuppetRun
}

/** What happens, and the house that stands afterwards. */
const happenings: Record<QueueCause, (scene: Scene) => Promise<House>> = {
  async end({ house, run }) {
    await run.end()
    return house
  },
  async stop({ house, id }) {
    await house.manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    return house
  },
  async failure({ house, run }) {
    await run.fail(new RunFailure('model_error', 'down'))
    return house
  },
  async budget({ house, run }) {
    await run.end('budget_exceeded')
    return house
  },
  async unopened({ house, id, run }) {
    house.agents.broken = new Error('gone')
    await run.end()
    await house.manager.waitStopped(id, patience)
    while ((await house.manager.getActiveSessions()).length > 0) await new Promise(setImmediate)
    house.agents.broken = undefined
    house.defects.length = 0
    return house
  },
  async interrupt({ house, id }) {
    await house.manager.submit(id, { source: 'hand' }, { messages: say('instead'), ifBusy: 'interrupt' })
    return house
  },
  async rollback({ house, id }) {
    await house.manager.submit(id, { source: 'hand' }, { messages: say('instead'), ifBusy: 'rollback' })
    return house
  },
  resumed: async ({ house }) => house.crash(),
  interrupted: async ({ house }) => house.crash(),
  async delete({ house, id }) {
    await house.manager.deleteSession(id)
    return house
  },
}

const holders: Partial<Record<QueueCause, string>> = { unopened: 'failure', interrupted: 'restart' }

describe.each(backends)('what becomes of what waits, over $over', (backend) => {
  const house = useStore(backend)

  it.each(cells)('lets $kind $fate at $cause (M2)', async ({ cause, kind, fate }) => {
    const recovery = cause === 'interrupted' ? 'interrupt' : 'resume'
    const built = await house({ recovery, recoveryDelayMs: 0 })
    const { manager } = built
    const { id, run } = await running(built)
    await (kind === 'steer' ? manager.steerSession(id, say('waits')) : manager.followUpSession(id, say('waits')))
    const [input] = await manager.getInputs(id)
    const inputId = input?.id ?? ''
    if (kind === 'held') await manager.updateInput(id, inputId, { held: true })
    const after = await happenings[cause]({ house: built, id, run })
    await checks[fate](after, id, inputId, kind === 'held' ? 'client' : (holders[cause] ?? cause))
    if (fate !== 'gone') await drain(after, id)
  })

  const checks: Record<QueueFate, (house: House, id: string, inputId: string, by: string) => Promise<void>> = {
    async run({ manager, puppet }, id, inputId) {
      const next = await puppet.next()
      expect(next.context.history.at(-1)?.message?.message.content).toBe('waits')
      expect(await manager.getInput(id, inputId)).toMatchObject({ state: 'delivered' })
      await next.end()
    },
    async wait({ manager }, id, inputId, by) {
      const held = by === 'client' ? { state: 'held', held_by: 'client' } : { state: 'queued' }
      expect(await manager.getInput(id, inputId)).toMatchObject(held)
    },
    async hold({ manager, puppet }, id, inputId, by) {
      await manager.waitStopped(id, patience)
      expect(await manager.getInput(id, inputId)).toMatchObject({ state: 'held', held_by: by })
      expect(puppet.unseen).toBe(0)
    },
    async gone({ manager, store }, id, inputId) {
      expect(await codeOf(manager.getInput(id, inputId))).toBe('unknown_session')
      expect(store.input(id, inputId)).toBeUndefined()
    },
  }

  it('releases what a stop has held with the next run, and never what a client holds', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id } = await running(built)
    await manager.followUpSession(id, say('mine', 'stopped'))
    const [mine] = await manager.getInputs(id)
    await manager.updateInput(id, mine?.id ?? '', { held: true })
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    expect((await manager.getInputs(id)).map(({ held_by }) => held_by)).toEqual(['client', 'stop'])
    await manager.runSession(id, { source: 'hand' }, { messages: say('go') })
    const run = await puppet.next()
    expect([run.followUp(), run.followUp()]).toEqual(['stopped', undefined])
    await run.end()
    await manager.waitStopped(id, patience)
    await manager.updateInput(id, mine?.id ?? '', { held: false })
    const next = await puppet.next()
    expect(next.context.history.at(-1)?.message?.message.content).toBe('mine')
    await next.end()
  })

  it('lets a run that only compacts the history release nothing', async () => {
    const puppet = new Puppet()
    const built = await house({ puppet })
    const { manager } = built
    const { id } = await running(built)
    await manager.followUpSession(id, say('held'))
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    const runtime = { ...runtimeOf('root', puppet), compact: puppet.script }
    await manager.attachRuntime(id, runtime)
    await manager.compactSession(id)
    await (await puppet.next()).end()
    await manager.waitStopped(id, patience)
    expect(await manager.getInputs(id)).toMatchObject([{ state: 'held', held_by: 'stop' }])
  })

  it('shows the queue in the snapshot and tells every change of it', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    const { inputs, last_event_seq } = await manager.getSessionSnapshot(id)
    await manager.followUpSession(id, say('a', 'b', 'c'), undefined, { sent_by: 'me' })
    await manager.steerSession(id, say('s'))
    const [s, a, b, c] = (await manager.getInputs(id)).map((input) => input.id)
    await manager.updateInput(id, c ?? '', { before: a ?? '', message: { content: 'C' } })
    await manager.updateInput(id, b ?? '', { kind: 'steer', before: s ?? '' })
    await manager.updateInput(id, a ?? '', { held: true })
    expect((await manager.cancelInput(id, s ?? '')).state).toBe('cancelled')
    await expect(manager.cancelInput(id, s ?? '')).rejects.toThrow('The input was cancelled')
    const details = [{ path: 'params.input_id', message: 'The input was cancelled' }]
    await expect(manager.updateInput(id, s ?? '', {})).rejects.toMatchObject({ code: 'input_settled', details })
    expect(await codeOf(manager.updateInput(id, a ?? '', { before: b ?? '' }))).toBe('invalid_request')
    expect(run.steering()).toEqual(['b'])
    expect(run.followUp()).toBe('C')
    expect(run.followUp()).toBeUndefined()
    await expect(manager.cancelInput(id, c ?? '')).rejects.toThrow(`The input was delivered to the run ${runId}`)
    const drawn = new Map<string, QueuedInput>(inputs.map((input) => [input.id, input]))
    await manager.getSession(id)
    const log = await readLog(manager, id, last_event_seq)
    for (const entry of log) {
      for (const { input } of [...eventsOf([entry], 'input_queued'), ...eventsOf([entry], 'input_updated')]) {
        drawn.set(input.id, input)
      }
      for (const { input } of eventsOf([entry], 'input_settled')) drawn.delete(input.id)
    }
    expect([...drawn.values()]).toEqual((await manager.getSessionSnapshot(id)).inputs)
    expect([...drawn.values()]).toMatchObject([{ id: a, sent_by: 'me', state: 'held' }])
    const pages = []
    for (let cursor: string | undefined; ; ) {
      const { entries, next } = await manager.getAllInputs(id, { limit: 3, cursor })
      pages.push(entries.map(({ id, state }) => [id, state]))
      if (next === undefined) break
      cursor = next
    }
    expect(pages).toEqual([
      [
        [s, 'cancelled'],
        [c, 'delivered'],
        [b, 'delivered'],
      ],
      [[a, 'held']],
    ])
    await run.end()
  })

  it('tells nothing of a change that changes nothing', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.followUpSession(id, say('a', 'b'))
    const [a, b] = await manager.getInputs(id)
    const { last_event_seq } = await manager.getSessionSnapshot(id)
    const [first, last] = [a?.id ?? '', b?.id ?? '']
    const nothing = [
      {},
      { kind: 'followup' },
      { held: false },
      { message: { content: 'a' } },
      { before: last },
    ] as const
    for (const change of nothing) expect(await manager.updateInput(id, first, change)).toEqual(a)
    expect(await manager.updateInput(id, last, { before: '' })).toEqual(b)
    const held = await manager.updateInput(id, last, { held: true })
    expect(await manager.updateInput(id, last, { held: true })).toEqual(held)
    expect(eventsOf(await readLog(manager, id, last_event_seq), 'input_updated')).toMatchObject([{ input: held }])
    await run.end()
  })

  it('starts a run with what is released or demoted while the session is idle', async () => {
    const built = await house()
    const { manager, puppet } = built
    const id = await rested(built)
    await manager.steerSession(id, say('steered'))
    const [input] = await manager.getInputs(id)
    await manager.updateInput(id, input?.id ?? '', { kind: 'followup' })
    const run = await puppet.next()
    expect(run.context.history.at(-1)?.message?.message.content).toBe('steered')
    await run.end()
  })
})

it.each([
  ['resume', 'delivered'],
  ['interrupt', 'held'],
] as const)('lets a follow-up that was about to start a run be %s after a crash: %s (M2)', async (recovery, state) => {
  const store = createMemoryStore()
  await store.open()
  const built = await build(store, { recovery, maxConcurrentRuns: 1 })
  const id = await rested(built)
  await running(built)
  await built.manager.followUpSession(id, say('waits'))
  const [input] = await built.manager.getInputs(id)
  const next = await built.crash()
  if (recovery === 'resume') {
    await (await next.puppet.next()).end()
    await (await next.puppet.next()).end()
  }
  expect((await next.manager.getInput(id, input?.id ?? '')).state).toBe(state)
})

/** Ends every run, so that none is left. */
async function drain({ manager, puppet }: House, id: string): Promise<void> {
  while ((await manager.getSessionSnapshot(id)).streaming) {
    for (const run of puppet.active) await run.end()
    await new Promise(setImmediate)
  }
}
