import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Message } from '../../src/protocol/protocol.ts'
import { fingerprintOf, type SessionManager } from '../../src/session-manager/session-manager.ts'
import {
  backends,
  codeOf,
  collect,
  eventsOf,
  type House,
  patience,
  readLog,
  rested,
  running,
  texts,
  useStore,
} from './house.ts'
import type { TestAgent } from './test-agents.ts'

/** A command, and how often it has had its effect. */
interface Command {
  readonly name: string
  /** Makes what it is about. */
  arrange(house: House, title: string): Promise<string>
  act(manager: SessionManager, id: string, title: string): Promise<unknown>
  count(manager: SessionManager, id: string, title: string): Promise<number>
}

const user = (content: string): Message => ({ agent_name: '', message: { role: 'user', content } })

const fresh = async ({ manager }: House, title: string): Promise<string> => {
  const { id } = await manager.createSession({ title })
  await manager.addMessage(id, user('first'))
  return id
}

const commands: readonly Command[] = [
  {
    name: 'a creation',
    arrange: async () => '',
    act: (manager, _, title) => manager.createSession({ title }),
    count: async (manager, _, title) => manager.getSessions({ q: title, limit: 10 }).entries.length,
  },
  {
    name: 'a fork',
    arrange: fresh,
    act: (manager, id) => manager.forkSession(id, 0),
    count: async (manager, _, title) => manager.getSessions({ q: `${title} (fork`, limit: 10 }).entries.length,
  },
  {
    name: 'a deletion',
    arrange: fresh,
    act: (manager, id) => manager.deleteSession(id),
    count: async (manager, id) => ((await codeOf(manager.getSession(id))) === 'unknown_session' ? 1 : 0),
  },
  {
    name: 'a run',
    arrange: rested,
    act: async (manager, id) => {
      const { run } = await manager.runSession(id, { source: 'chat' }, { messages: [{ content: 'go' }] })
      return { run }
    },
    count: async (manager, id) => (await manager.getRuns(id, { limit: 10 })).entries.length - 1,
  },
  {
    name: 'a steered message',
    arrange: rested,
    act: (manager, id) => manager.steerSession(id, [{ content: 'then' }]),
    count: async (manager, id) => (await manager.getQueue(id)).steer.depth,
  },
  {
    name: 'a message',
    arrange: fresh,
    act: (manager, id) => manager.addMessage(id, user('again')),
    count: async (manager, id) => texts((await manager.getSession(id)).messages).length - 1,
  },
  {
    name: 'a setting',
    arrange: fresh,
    act: (manager, id) => manager.toggleToolApproval(id),
    count: async (manager, id) => eventsOf(await readLog(manager, id), 'session_updated').length,
  },
]

const said = { type: 'agent_choice', agent_name: 'root', content: 'made' } as const

const keyed = (title: string) => ({ scope: 'test', key: title, fingerprint: 'f' })

describe.each(backends)('a command that is repeated with its key, over $over', (backend) => {
  const house = useStore(backend)

  it.each(commands)('is done once when its answer is lost with the process: $name (M5)', async (command) => {
    const built = await house()
    const title = randomUUID()
    const id = await command.arrange(built, title)
    built.store.hold()
    const first = built.manager.once(keyed(title), () => command.act(built.manager, id, title))
    first.catch(() => {})
    await handedOver(built)
    built.store.release()
    const { manager } = await built.crash()
    expect(await command.count(manager, id, title)).toBe(1)
    const again = await manager.once(keyed(title), () => command.act(manager, id, title))
    expect([again.isRepeat, await command.count(manager, id, title)]).toEqual([true, 1])
  })

  it.each(commands)('is done once when it was lost with the process: $name (M5)', async (command) => {
    const built = await house()
    const title = randomUUID()
    const id = await command.arrange(built, title)
    built.store.hold()
    const first = built.manager.once(keyed(title), () => command.act(built.manager, id, title))
    first.catch(() => {})
    await handedOver(built)
    const { manager } = await built.crash()
    expect(await command.count(manager, id, title)).toBe(0)
    const again = await manager.once(keyed(title), () => command.act(manager, id, title))
    expect([again.isRepeat, await command.count(manager, id, title)]).toEqual([false, 1])
  })

  it.each(commands)('is done once whether a commit that failed has happened or not: $name (M5)', async (command) => {
    for (const fault of ['unknown', 'refused'] as const) {
      const built = await house()
      const { manager, store } = built
      const title = randomUUID()
      const id = await command.arrange(built, title)
      store.fail(fault)
      const act = () => manager.once(keyed(title), () => command.act(manager, id, title))
      expect(await codeOf(act())).toBe('store_unavailable')
      store.heal()
      const again = await act()
      expect([again.isRepeat, await command.count(manager, id, title)]).toEqual([fault === 'unknown', 1])
    }
  })

  it('takes up a deletion of many where the process died (M5)', async () => {
    const built = await house()
    const ids = [await fresh(built, 'one'), await fresh(built, 'two')]
    const [, second = ''] = ids
    const command = keyed(randomUUID())
    built.store.hold(second)
    const first = built.manager.once(command, () => built.manager.batchDeleteSessions([...ids, 'none']))
    first.catch(() => {})
    await handedOver(built)
    const { manager } = await built.crash()
    expect((await manager.batchExportSessions(ids)).missing).toEqual(ids.slice(0, 1))
    const again = () => manager.once(command, () => manager.batchDeleteSessions([...ids, 'none']))
    const outcome = { deleted_count: 2, failed_count: 1, failed_ids: ['none'] }
    expect(await again()).toEqual({ outcome, isRepeat: false })
    expect(await again()).toEqual({ outcome, isRepeat: true })
    expect((await manager.batchExportSessions(ids)).missing).toEqual(ids)
  })

  it('is refused with another fingerprint, also while the first is under way (M5)', async () => {
    const { manager } = await house()
    const title = randomUUID()
    const create = () => manager.createSession({ title })
    const first = manager.once(keyed(title), create)
    expect(await codeOf(manager.once({ ...keyed(title), fingerprint: 'g' }, create))).toBe('idempotency_mismatch')
    expect((await first).isRepeat).toBe(false)
  })

  it('is tried when the first, which it waited for, is refused (M5)', async () => {
    const { manager } = await house()
    const title = randomUUID()
    const refused = manager.once(keyed(title), () => manager.getSession('none'))
    const second = manager.once(keyed(title), () => manager.createSession({ title }))
    expect(await codeOf(refused)).toBe('unknown_session')
    expect((await second).isRepeat).toBe(false)
  })

  it('shows a run from its first event to its last, though another process has ended it (M4, M5)', async () => {
    const built = await house({ recovery: 'resume' })
    const command = keyed(randomUUID())
    const { id } = await built.manager.createSession()
    const begin = (manager: SessionManager) => async () => {
      const options = { messages: [{ content: 'go' }], trigger: 'stream', onDisconnect: 'continue' } as const
      const { run } = await manager.runSession(id, { source: 'hand' }, options)
      return { run }
    }
    const first = await built.manager.once(command, begin(built.manager))
    await (await built.puppet.next()).say('half ')
    const { manager, puppet } = await built.crash()
    const again = await manager.once(command, begin(manager))
    expect(again).toEqual({ outcome: first.outcome, isRepeat: true })
    const seen = collect(await manager.readRun(id, again.outcome.run.run_id, new AbortController().signal))
    await (await puppet.next()).end()
    expect(await seen).toEqual(await readLog(manager, id, 0))
    expect(await codeOf(manager.readRun(id, 'none', new AbortController().signal))).toBe('unknown_run')
  })

  it('keeps its key to itself when its run commands other sessions (M5)', async () => {
    const title = randomUUID()
    const maker: TestAgent = {
      async *script() {
        await built.manager.createSession({ title })
        yield said
        return 'normal'
      },
    }
    const built = await house({ sources: { maker: { root: maker } } })
    const { manager } = built
    const { id } = await manager.createSession()
    const begin = async () => {
      const { run } = await manager.runSession(id, { source: 'maker' }, { messages: [] })
      return { run }
    }
    const first = await manager.once(keyed(title), begin)
    await manager.waitStopped(id, patience)
    expect(manager.getSessions({ q: title, limit: 10 }).entries).toHaveLength(1)
    expect(await manager.once(keyed(title), begin)).toEqual({ outcome: first.outcome, isRepeat: true })
  })

  it('leaves its key to the command, and not to what a session does when it is loaded for it (M5)', async () => {
    const built = await house({ recovery: 'resume' })
    const { id, run } = await running(built)
    await run.say('half ')
    built.store.fail('refused')
    // What fails throws the session away; it is loaded again, and its run taken up, by the command with the key.
    expect(await codeOf(built.manager.updateSessionTitle(id, 'lost'))).toBe('store_unavailable')
    const command = keyed(randomUUID())
    const edit = () => built.manager.addMessage(id, user('too early'))
    expect(await codeOf(built.manager.once(command, edit))).toBe('session_busy')
    await (await built.puppet.next()).end()
    await built.manager.waitStopped(id, patience)
    expect((await built.manager.once(command, edit)).isRepeat).toBe(false)
  })
})

describe('the fingerprint of a payload', () => {
  it('is one for all orders of keys, at any depth, and another for another order of a list', () => {
    expect(fingerprintOf({ a: 1, b: [{ c: 1, d: 2 }] })).toBe(fingerprintOf({ b: [{ d: 2, c: 1 }], a: 1 }))
    expect(fingerprintOf([1, 2])).not.toBe(fingerprintOf([2, 1]))
  })
})

/** Waits until a group waits to be written. */
async function handedOver({ store }: House): Promise<void> {
  while (store.waiting === 0) await new Promise(setImmediate)
}
