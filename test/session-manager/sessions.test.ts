import { randomUUID } from 'node:crypto'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Message, SessionTemplate } from '../../src/protocol/protocol.ts'
import { tempDir } from '../store/temp-dir.ts'
import {
  backends,
  codeOf,
  eventsOf,
  type House,
  patience,
  readLog,
  rested,
  running,
  texts,
  typesOf,
  useStore,
} from './house.ts'
import { echo, runtimeOf } from './test-agents.ts'

const user = (content: string): Message => ({ agent_name: '', message: { role: 'user', content } })
const bot = (content: string, more: Partial<Message['message']> = {}): Message => ({
  agent_name: 'root',
  message: { role: 'assistant', content, ...more },
})
const usage = { input_tokens: 3, output_tokens: 5, cached_input_tokens: 2, cached_write_tokens: 1 }

describe.each(backends)('sessions over $over', (backend) => {
  const house = useStore(backend)

  it('creates a session with what its template says', async () => {
    const { manager } = await house()
    const template: SessionTemplate = {
      title: 'A title',
      safety_policy: 'balanced',
      permissions: { allow: ['ls'] },
      attributes: { team: 'red' },
    }
    const session = await manager.createSession(template)
    expect(session).toMatchObject({ ...template, messages: null, tools_approved: false, starred: false, cost: 0 })
    expect(await manager.getSession(session.id)).toMatchObject({ id: session.id, ...template })
  })

  it('lets a template approve all tools', async () => {
    const { manager } = await house()
    const session = await manager.createSession({ tools_approved: true })
    expect(session).toMatchObject({ tools_approved: true, safety_policy: 'autonomous' })
  })

  it.each([
    ['has ..', () => '/tmp/..'],
    ['does not exist', () => join(tempDir(), 'missing')],
    ['lies outside the root', () => tempDir()],
    ['leaves the root through a link', (root: string) => linkIn(root, tempDir())],
  ])('refuses a working directory that %s', async (_, choose) => {
    const root = tempDir()
    const { manager } = await house({ workingDirRoot: root })
    expect(await codeOf(manager.createSession({ working_dir: choose(root) }))).toBe('invalid_working_dir')
  })

  it('stores the resolved working directory', async () => {
    const root = tempDir()
    mkdirSync(join(root, 'real'))
    const { manager } = await house({ workingDirRoot: root })
    const { working_dir } = await manager.createSession({ working_dir: linkIn(root, join(root, 'real')) })
    expect(working_dir).toMatch(/real$/)
  })

  it('lists sessions newest first, by filter and page', async () => {
    const { manager } = await house()
    const tag = randomUUID()
    const ids: string[] = []
    for (const n of [1, 2, 3]) ids.unshift((await manager.createSession({ title: `${tag} ${n}` })).id)
    const first = manager.getSessions({ q: tag, limit: 2 })
    expect(first.entries.map(({ id }) => id)).toEqual(ids.slice(0, 2))
    const rest = manager.getSessions({ q: tag, limit: 2, cursor: first.next })
    expect(rest.entries.map(({ id }) => id)).toEqual(ids.slice(2))
    expect(rest.next).toBeUndefined()
  })

  it('says which sessions run, in the list and apart', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.updateSessionTitle(id, randomUUID())
    const { title } = await manager.getSession(id)
    expect(manager.getSessions({ q: title, limit: 9 }).entries).toMatchObject([{ id, streaming: true, agent: 'hand' }])
    expect((await manager.getActiveSessions()).map((session) => session.id)).toContain(id)
    await run.end()
    await manager.waitStopped(id, patience)
    expect(manager.getSessions({ q: title, limit: 9 }).entries[0]?.streaming).toBeUndefined()
    expect((await manager.getActiveSessions()).map((session) => session.id)).not.toContain(id)
  })

  it('shows all, none or the newest messages of a session', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    expect((await manager.getSession(id)).messages).toBeUndefined()
    for (const text of ['a', 'b', 'c']) await manager.addMessage(id, user(text))
    expect(texts((await manager.getSession(id)).messages)).toEqual(['a', 'b', 'c'])
    expect(texts((await manager.getSession(id, { last: 2 })).messages)).toEqual(['b', 'c'])
    expect((await manager.getSession(id, 'none')).messages).toBeUndefined()
    expect(texts((await manager.getSessionSnapshot(id, { last: 1 })).messages)).toEqual(['c'])
    expect((await manager.getSessionSnapshot(id, 'none')).messages).toBeNull()
  })

  it('pages messages oldest first', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    for (const text of ['a', 'b', 'c']) await manager.addMessage(id, user(text))
    const first = await manager.getMessages(id, { limit: 2, from: 0 })
    expect(texts(first.messages)).toEqual(['a', 'b'])
    const rest = await manager.getMessages(id, { limit: 2, from: first.next ?? -1 })
    expect(texts(rest.messages)).toEqual(['c'])
    expect(rest.next).toBeUndefined()
  })

  it('deletes a session for good, tells its readers and ends them', async () => {
    const built = await house()
    const id = await rested(built)
    const { manager } = built
    const signal = new AbortController().signal
    const told: string[] = []
    const reader = (async () => {
      for await (const page of await manager.streamEvents(id, { since: undefined, follow: true, signal })) {
        if (page.kind === 'frames') told.push(page.data.toString())
      }
    })()
    expect(await manager.deleteSession(id)).toEqual({ left: true })
    await reader
    expect(told.at(-1)).toContain('session_exited')
    expect(await codeOf(manager.getSession(id))).toBe('unknown_session')
    const next = await built.restart()
    expect(await codeOf(next.manager.getSession(id))).toBe('unknown_session')
  })

  it('refuses what comes to a session that is being deleted, and tells so when the deletion is committed', async () => {
    const built = await house()
    const id = await rested(built)
    const { manager, store } = built
    store.hold()
    const deleted = manager.deleteSession(id)
    const codes: (string | undefined)[] = []
    const late: Promise<unknown>[] = []
    for (let tick = 0; tick < 5; tick += 1) {
      late.push(codeOf(manager.addMessage(id, user('too late'))).then((code) => codes.push(code)))
      await new Promise(setImmediate)
    }
    expect(codes).toEqual([])
    store.release()
    await Promise.all([deleted, ...late])
    expect(codes).toEqual(Array(5).fill('unknown_session'))
    expect(await codeOf(manager.getSession(id))).toBe('unknown_session')
  })

  it('deletes what it can of a batch and names the rest', async () => {
    const { manager } = await house()
    const [a, b] = [await manager.createSession(), await manager.createSession()]
    expect(await manager.batchDeleteSessions([a.id, 'nobody', b.id, a.id])).toEqual({
      deleted_count: 2,
      failed_count: 2,
      failed_ids: ['nobody', a.id],
    })
  })

  it('exports the sessions of a batch and names those that are not there', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession({ title: 'exported' })
    await manager.addMessage(id, user('hello'))
    const { sessions, missing } = await manager.batchExportSessions([id, 'nobody'])
    expect(sessions).toMatchObject([{ id, title: 'exported', messages: [user('hello')], working_dir: '' }])
    expect(missing).toEqual(['nobody'])
  })

  it('counts a session that is being deleted as missing from an export', async () => {
    const built = await house()
    const { id, run } = await running(built)
    const { manager, store } = built
    store.hold()
    const deleted = manager.deleteSession(id)
    const exported = manager.batchExportSessions([id])
    store.release()
    expect(await exported).toEqual({ sessions: [], missing: [id] })
    await deleted
    await run.left
  })

  it('exports for recovery with permissions and errors', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.updateSessionPermissions(id, { deny: ['rm'] })
    await run.fail(new TypeError('a defect of the runtime'))
    await manager.waitStopped(id, patience)
    expect(await manager.exportSessionForRecovery(id)).toMatchObject({
      id,
      permissions: { deny: ['rm'] },
      errors: [{ code: 'internal', agent_name: 'root' }],
    })
    const fresh = await manager.createSession()
    expect((await manager.exportSessionForRecovery(fresh.id)).permissions).toBeNull()
  })

  it('forks before a user message, with new ids and counters of its own', async () => {
    const { manager } = await house()
    const template: SessionTemplate = { title: 'Talk', permissions: { allow: ['ls'] }, safety_policy: 'strict' }
    const { id } = await manager.createSession(template)
    await manager.addMessage(id, user('one'))
    await manager.addMessage(id, bot('first', { usage, cost: 0.5 }))
    await manager.addMessage(id, user('two'))
    await manager.addMessage(id, bot('second', { usage, cost: 0.5 }))
    await manager.setSessionStarred(id, true)
    const fork = await manager.forkSession(id, 1)
    expect(texts(fork.messages)).toEqual(['one', 'first'])
    expect(fork).toMatchObject({ title: 'Talk (fork 1)', starred: true, input_tokens: 6, output_tokens: 5 })
    expect(fork).toMatchObject({ permissions: template.permissions, safety_policy: 'strict' })
    expect((await manager.getSessionSnapshot(fork.id)).cost).toBe(0.5)
    const parentIds = (await manager.getSession(id)).messages?.map((message) => message.id)
    expect(parentIds).not.toContain(fork.messages?.[0]?.id)
    expect(texts((await manager.forkSession(id, 0)).messages)).toEqual([])
  })

  it('counts the forks of one root in their titles, also when they are made at once', async () => {
    const { manager } = await house()
    const title = randomUUID()
    const { id } = await manager.createSession({ title })
    await manager.addMessage(id, user('one'))
    const forks = await Promise.all([manager.forkSession(id, 0), manager.forkSession(id, 0)])
    expect(forks.map((fork) => fork.title).sort()).toEqual([`${title} (fork 1)`, `${title} (fork 2)`])
    const [first] = forks
    await manager.addMessage(first.id, user('again'))
    expect((await manager.forkSession(first.id, 0)).title).toBe(`${title} (fork 3)`)
  })

  it('leaves the empty title of a fork empty', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    await manager.addMessage(id, user('one'))
    expect((await manager.forkSession(id, 0)).title).toBe('')
  })

  it.each([-1, 1, 0.5])('refuses to fork before user message %d when there is one', async (index) => {
    const { manager } = await house()
    const { id } = await manager.createSession()
    await manager.addMessage(id, user('one'))
    expect(await codeOf(manager.forkSession(id, index))).toBe('invalid_request')
  })

  it('gives a fork no runtime, though its parent has one', async () => {
    const built = await house()
    const id = await rested(built)
    const fork = await built.manager.forkSession(id, 0)
    expect(await codeOf(built.manager.steerSession(fork.id, [{ content: 'x' }]))).toBe('session_not_running')
  })

  it('changes title, tokens, star, permissions and policy, also while a run goes on', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.updateSessionTitle(id, 'New')
    await manager.updateSessionTokens(id, { input_tokens: 11, output_tokens: 12, cost: 1.5 })
    await manager.setSessionStarred(id, true)
    await manager.updateSessionPermissions(id, { ask: ['write'] })
    await manager.setSessionSafetyPolicy(id, 'strict')
    const changed = { title: 'New', input_tokens: 11, output_tokens: 12, permissions: { ask: ['write'] } }
    expect(await manager.getSession(id)).toMatchObject({ ...changed, starred: true, safety_policy: 'strict' })
    expect((await manager.getSessionSnapshot(id)).cost).toBe(1.5)
    expect(run.context.settings()).toMatchObject({ safety_policy: 'strict', permissions: { ask: ['write'] } })
    expect(typesOf(await readLog(manager, id))).toContain('session_title')
    await manager.updateSessionTokens(id, { input_tokens: 1, output_tokens: 2 })
    await manager.updateSessionPermissions(id, null)
    expect((await manager.getSession(id)).permissions).toBeUndefined()
    expect((await manager.getSessionSnapshot(id)).cost).toBe(1.5)
    await run.end()
  })

  it('toggles between autonomous and the policy before it', async () => {
    const { manager } = await house()
    const { id } = await manager.createSession({ safety_policy: 'balanced' })
    const policy = async () => {
      const { safety_policy, tools_approved } = await manager.getSession(id)
      return [safety_policy, tools_approved]
    }
    await manager.toggleToolApproval(id)
    expect(await policy()).toEqual(['autonomous', true])
    await manager.toggleToolApproval(id)
    expect(await policy()).toEqual(['balanced', false])
    await manager.setSessionSafetyPolicy(id, '')
    await manager.toggleToolApproval(id)
    await manager.toggleToolApproval(id)
    expect(await policy()).toEqual([undefined, false])
    await manager.toggleToolApproval(id)
    await manager.setSessionSafetyPolicy(id, 'autonomous')
    await manager.toggleToolApproval(id)
    expect(await policy()).toEqual([undefined, false])
  })

  it('adds, replaces and summarises while idle, and is busy while a run goes on', async () => {
    const built = await house()
    const { manager } = built
    const id = await rested(built)
    const messageId = await manager.addMessage(id, bot('draft', { usage, cost: 0.25 }))
    await manager.updateMessage(id, messageId, bot('final'))
    await manager.addSummary(id, { summary: 'all of it', cost: 0.5 })
    expect((await manager.getSession(id)).messages?.at(-1)).toMatchObject({ ...bot('final'), id: messageId })
    expect((await manager.getSessionSnapshot(id)).cost).toBe(0.75)
    expect(typesOf(await readLog(manager, id)).slice(-3)).toEqual([
      'message_added',
      'message_updated',
      'session_summary',
    ])
    expect(await codeOf(manager.updateMessage(id, 'nobody', bot('x')))).toBe('unknown_message')
    const busy = await running(built)
    for (const edit of [
      manager.addMessage(busy.id, user('x')),
      manager.updateMessage(busy.id, 'any', user('x')),
      manager.addSummary(busy.id, { summary: 'x' }),
    ]) {
      expect(await codeOf(edit)).toBe('session_busy')
    }
    await busy.run.end()
    const after = await (await built.restart()).manager.getSession(id)
    expect(texts(after.messages)).toEqual(['begin', 'final'])
  })

  it('does not show system messages, nor count them', async () => {
    const built = await house()
    const id = await rested(built)
    await built.manager.addMessage(id, { agent_name: '', message: { role: 'system', content: 'secret' } })
    expect(texts((await built.manager.getSession(id)).messages)).toEqual(['begin'])
    expect((await built.manager.getSessionStatus(id)).num_messages).toBe(1)
  })

  it('says the status of a session that has run, also in a process before', async () => {
    const built = await house()
    const { id, runId, run } = await running(built)
    expect(await built.manager.getSessionStatus(id)).toMatchObject({ streaming: true, run_id: runId, agent: 'root' })
    await run.end()
    await built.manager.waitStopped(id, patience)
    const { manager } = await built.restart()
    const status = await manager.getSessionStatus(id)
    expect(status).toMatchObject({ id, streaming: false, agent: 'root', num_messages: 1 })
    expect(status.run_id).toBeUndefined()
    expect(await manager.getQueue(id)).toMatchObject({ steer: { depth: 0 }, followup: { depth: 0 } })
  })

  it('counts tools of an agent, without a name of the default one', async () => {
    const { manager } = await house({
      sources: { team: { first: { ...echo, tools: 3 }, second: { ...echo, tools: 5 } } },
    })
    expect(await manager.getAgentToolCount('team')).toBe(3)
    expect(await manager.getAgentToolCount('team', 'second')).toBe(5)
    expect(await codeOf(manager.getAgentToolCount('team', 'third'))).toBe('unknown_agent')
    expect((await manager.listAgents()).map(({ name }) => name)).toContain('team')
    expect((await manager.getAgent('team')).agents.map(({ Name }) => Name)).toEqual(['first', 'second'])
  })

  describe('refusals', () => {
    it.each(Object.entries(calls))('refuses %s on a session that is not there', async (_, call) => {
      expect(await codeOf(async () => call(await house(), 'nobody'))).toBe('unknown_session')
    })

    it.each(Object.entries(calls))('refuses %s on a session whose deleted run has not left', async (_, call) => {
      const built = await house()
      const { id, run } = await running(built)
      const closing = Promise.withResolvers<void>()
      built.agents.closing = closing.promise
      expect(await built.manager.deleteSession(id, 0)).toEqual({ left: false })
      expect(await codeOf(async () => call(built, id))).toBe('unknown_session')
      closing.resolve()
      await run.left
      expect(await built.manager.waitStopped(id, patience)).toBe(true)
    })

    it.each(Object.entries(needRuntime))('refuses %s on a session that has never run', async (_, call) => {
      const built = await house()
      const { id } = await built.manager.createSession()
      expect(await codeOf(async () => call(built, id))).toBe('session_not_running')
    })
  })

  it('waits for the first session that is created', async () => {
    const { manager } = await house()
    expect(await manager.waitReady(0)).toBe(false)
    const ready = manager.waitReady(patience)
    await manager.createSession()
    expect(await ready).toBe(true)
  })

  it('waits for a runtime: the run that begins', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id } = await manager.createSession()
    expect(await manager.waitSessionAttached(id, 0)).toBe(false)
    const attached = manager.waitSessionAttached(id, patience)
    await manager.runSession(id, { source: 'hand' }, { messages: [] })
    expect(await attached).toBe(true)
    await (await puppet.next()).end()
    expect(await manager.waitStopped(id, patience)).toBe(true)
    expect(await manager.waitSessionAttached(id, 0)).toBe(true)
  })

  it('waits for the end of a run, and not longer than it was told', async () => {
    const built = await house()
    const { id, run } = await running(built)
    expect(await built.manager.waitStopped(id, 0)).toBe(false)
    const stopped = built.manager.waitStopped(id, patience)
    await run.end()
    expect(await stopped).toBe(true)
    expect(await built.manager.waitStopped('nobody', 0)).toBe(true)
  })

  it('begins a run with the title that the session has, and keeps one that the run makes', async () => {
    const built = await house()
    const { manager, puppet } = built
    const { id, run } = await running(built)
    expect(run.context.untitled).toBe(true)
    await run.tell({ type: 'session_title', title: 'Made' })
    await run.tell({ type: 'session_title', title: 'Too late' })
    await run.end()
    await manager.waitStopped(id, patience)
    await manager.runSession(id, { source: 'hand' }, { messages: [] })
    const second = await puppet.next()
    expect(second.context.untitled).toBe(false)
    expect(eventsOf(await readLog(manager, id), 'session_title').map(({ title }) => title)).toEqual(['Made', 'Made'])
    await second.end()
  })
})

const message = [{ content: 'x' }]
const never = new AbortController().signal

/** Every method that is about one session. */
const calls: Record<string, (house: House, id: string) => unknown> = {
  getSession: ({ manager }, id) => manager.getSession(id),
  deleteSession: ({ manager }, id) => manager.deleteSession(id),
  exportSessionForRecovery: ({ manager }, id) => manager.exportSessionForRecovery(id),
  runSession: ({ manager }, id) => manager.runSession(id, { source: 'hand' }, { messages: message }),
  resumeSession: ({ manager }, id) => manager.resumeSession(id, { confirmation: 'approve' }),
  resumeElicitation: ({ manager }, id) => manager.resumeElicitation(id, { action: 'decline' }),
  steerSession: ({ manager }, id) => manager.steerSession(id, message),
  followUpSession: ({ manager }, id) => manager.followUpSession(id, message),
  attachRuntime: ({ manager }, id) => manager.attachRuntime(id, runtimeOf('mine', echo)),
  registerEventSource: ({ manager }, id) => manager.registerEventSource(id, async function* () {}),
  lastEventSeq: ({ manager }, id) => manager.lastEventSeq(id),
  streamEvents: ({ manager }, id) => manager.streamEvents(id, { since: undefined, follow: false, signal: never }),
  registerFollowUpInjector: ({ manager }, id) => manager.registerFollowUpInjector(id, () => {}),
  getSessionSnapshot: ({ manager }, id) => manager.getSessionSnapshot(id),
  getSessionStatus: ({ manager }, id) => manager.getSessionStatus(id),
  waitSessionAttached: ({ manager }, id) => manager.waitSessionAttached(id, 0),
  addMessage: ({ manager }, id) => manager.addMessage(id, user('x')),
  updateMessage: ({ manager }, id) => manager.updateMessage(id, 'any', user('x')),
  addSummary: ({ manager }, id) => manager.addSummary(id, { summary: 'x' }),
  updateSessionTitle: ({ manager }, id) => manager.updateSessionTitle(id, 'x'),
  updateSessionTokens: ({ manager }, id) => manager.updateSessionTokens(id, { input_tokens: 0, output_tokens: 0 }),
  updateSessionPermissions: ({ manager }, id) => manager.updateSessionPermissions(id, null),
  setSessionStarred: ({ manager }, id) => manager.setSessionStarred(id, true),
  toggleToolApproval: ({ manager }, id) => manager.toggleToolApproval(id),
  availableSessionModels: ({ manager }, id) => manager.availableSessionModels(id),
  setSessionAgentModel: ({ manager }, id) => manager.setSessionAgentModel(id, ''),
  forkSession: ({ manager }, id) => manager.forkSession(id, 0),
  setSessionSafetyPolicy: ({ manager }, id) => manager.setSessionSafetyPolicy(id, 'strict'),
  getMessages: ({ manager }, id) => manager.getMessages(id, { limit: 1, from: 0 }),
  getRuns: ({ manager }, id) => manager.getRuns(id, { limit: 1 }),
  getRun: ({ manager }, id) => manager.getRun(id, 'any'),
  getQueue: ({ manager }, id) => manager.getQueue(id),
  getRequests: ({ manager }, id) => manager.getRequests(id),
  cancelRun: ({ manager }, id) => manager.cancelRun(id, { by: 'test' }, { waitMs: 0 }),
}

const { getSessionStatus, getQueue, steerSession, followUpSession, availableSessionModels, setSessionAgentModel } =
  calls
const needRuntime = {
  getSessionStatus,
  getQueue,
  steerSession,
  followUpSession,
  availableSessionModels,
  setSessionAgentModel,
} as Record<string, (house: House, id: string) => unknown>

function linkIn(root: string, target: string): string {
  const link = join(root, 'link')
  symlinkSync(target, link)
  return link
}
