import { describe, expect, it } from 'vitest'
import { type ErrorCode, Refusal, type ResumeBody, type Verdict } from '../../src/protocol/protocol.ts'
import { backends, codeOf, eventsOf, patience, readLog, rested, running, typesOf, useStore } from './house.ts'
import { approval, elicitation, Puppet, type PuppetRun } from './test-agents.ts'

const approve: ResumeBody = { confirmation: 'approve' }

/** Asks several approvals at once. */
function askAll(run: PuppetRun, ids: readonly string[], decide?: () => Verdict | undefined): Promise<Verdict>[] {
  return ids.map((id) => run.ask(approval(id, 'shell', decide)))
}

/** A policy as a runtime applies it. */
function byPolicy(run: PuppetRun): () => Verdict | undefined {
  return () => {
    const { safety_policy, permissions } = run.context.settings()
    const allowed = safety_policy === 'autonomous' || permissions.allow?.includes('shell') === true
    return allowed ? { confirmation: 'approve' } : undefined
  }
}

async function refusal(call: Promise<unknown>): Promise<Refusal> {
  try {
    await call
  } catch (refused) {
    if (refused instanceof Refusal) return refused
    throw refused
  }
  throw new Error('it was not refused')
}

describe.each(backends)('requests over $over', (backend) => {
  const house = useStore(backend)

  it('opens all approvals of a batch at once and confirms one at a time', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const answers = askAll(run, ['a', 'b', 'c'])
    const open = await manager.getRequests(id)
    expect(open.map(({ content }) => content.kind === 'approval' && content.tool_call.id)).toEqual(['a', 'b', 'c'])
    const since = await manager.lastEventSeq(id)
    expect(typesOf(await readLog(manager, id)).slice(-4)).toEqual([
      'request_opened',
      'tool_call_confirmation',
      'request_opened',
      'request_opened',
    ])
    for (const confirmation of ['approve', 'reject', 'approve'] as const) {
      await manager.resumeSession(id, { confirmation, reason: `because of ${confirmation}` })
    }
    expect((await Promise.all(answers)).map(({ confirmation }) => confirmation)).toEqual([
      'approve',
      'reject',
      'approve',
    ])
    expect(await answers[1]).toMatchObject({ reason: 'because of reject' })
    expect(typesOf(await readLog(manager, id, since))).toEqual([
      'request_settled',
      'tool_call_confirmation',
      'request_settled',
      'tool_call_confirmation',
      'request_settled',
    ])
    expect(await codeOf(manager.resumeSession(id, approve))).toBe('no_pending_request')
    expect(await manager.getRequests(id)).toEqual([])
    await run.end()
  })

  it('answers by request id or tool call, and without an id exactly the confirmed one (M3)', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const [a, b, c] = askAll(run, ['a', 'b', 'c'])
    const requests = await manager.getRequests(id)
    await manager.resumeSession(id, { confirmation: 'reject', request_id: requests[1]?.id })
    await manager.resumeSession(id, { confirmation: 'approve-tool', tool_call_id: 'c' })
    // Clients that send every key send empty text for no id.
    await manager.resumeSession(id, { ...approve, request_id: '', tool_call_id: '' })
    expect((await Promise.all([a, b, c])).map((verdict) => verdict?.confirmation)).toEqual([
      'approve',
      'reject',
      'approve-tool',
    ])
    expect(eventsOf(await readLog(manager, id), 'tool_call_confirmation')).toHaveLength(1)
    await run.end()
  })

  it('refuses a second answer and says who won, also in the next process (M3)', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const answer = run.ask(approval('a'))
    const [request] = await manager.getRequests(id)
    await Promise.all([
      manager.resumeSession(id, { ...approve, request_id: request?.id }),
      refusal(manager.resumeSession(id, { confirmation: 'reject', request_id: request?.id })).then((late) => {
        expect(late.code).toBe('request_settled')
        expect(late.message).toContain('answered by client')
      }),
    ])
    expect(await answer).toMatchObject(approve)
    await run.end()
    await manager.waitStopped(id, patience)
    const next = await built.restart()
    for (const address of [{ request_id: request?.id }, { tool_call_id: 'a' }]) {
      const late = await refusal(next.manager.resumeSession(id, { ...approve, ...address }))
      expect([late.code, late.details?.[0]?.message]).toEqual(['request_settled', expect.stringContaining('client')])
    }
  })

  it.each<[string, { request_id?: string; tool_call_id?: string }, ErrorCode]>([
    ['nothing', {}, 'no_pending_request'],
    ['an unknown request', { request_id: 'nobody' }, 'unknown_request'],
    ['an unknown tool call', { tool_call_id: 'nobody' }, 'no_pending_request'],
  ])('refuses a verdict on %s', async (_, address, code) => {
    const built = await house()
    const id = await rested(built)
    expect(await codeOf(built.manager.resumeSession(id, { ...approve, ...address }))).toBe(code)
  })

  it('answers an elicitation by id, or the only one (M3)', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    expect(await codeOf(manager.resumeElicitation(id, { action: 'accept' }))).toBe('no_pending_request')
    const [one, two] = [run.ask(elicitation('name?')), run.ask(elicitation('age?'))]
    const [first, second] = await manager.getRequests(id)
    expect(await codeOf(manager.resumeElicitation(id, { action: 'accept' }))).toBe('no_pending_request')
    await manager.resumeElicitation(id, { action: 'accept', content: { age: 7 }, elicitation_id: second?.id })
    await manager.resumeElicitation(id, { action: 'decline' })
    expect(await two).toEqual({ action: 'accept', content: { age: 7 } })
    expect(await one).toMatchObject({ action: 'decline' })
    const late = { action: 'cancel', request_id: first?.id } as const
    expect(await codeOf(manager.resumeElicitation(id, late))).toBe('request_settled')
    expect(await codeOf(manager.resumeSession(id, { ...approve, request_id: first?.id }))).toBe('unknown_request')
    expect(eventsOf(await readLog(manager, id), 'elicitation_request').map((event) => event.elicitation_id)).toEqual([
      first?.id,
      second?.id,
    ])
    await run.end()
  })

  it('keeps nothing of what was entered into a form that is not accepted', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const asked = run.ask(elicitation('name?'))
    const [request] = await manager.getRequests(id)
    const body = { action: 'decline', content: { name: 7 } } as const
    expect((await manager.answerRequest(id, request?.id ?? '', body)).answer).toEqual({ action: 'decline' })
    expect(await asked).toEqual({ action: 'decline' })
    await run.end()
  })

  it('names the key of the body that has the id of what was answered before', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    void run.ask(approval('a'))
    void run.ask(elicitation('name?'))
    const [asked, form] = await manager.getRequests(id)
    await manager.resumeSession(id, approve)
    await manager.resumeElicitation(id, { action: 'cancel' })
    const paths = await Promise.all(
      [
        manager.resumeSession(id, { ...approve, request_id: asked?.id }),
        manager.resumeSession(id, { ...approve, tool_call_id: 'a' }),
        manager.resumeElicitation(id, { action: 'cancel', request_id: form?.id }),
        manager.resumeElicitation(id, { action: 'cancel', elicitation_id: form?.id }),
      ].map(async (call) => (await refusal(call)).details?.[0]?.path),
    )
    expect(paths).toEqual(['body.request_id', 'body.tool_call_id', 'body.request_id', 'body.elicitation_id'])
    await run.end()
  })

  it('expires what a tool call has left open that has ended, and tells who comes late (M3)', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    void run.ask(elicitation('name?', 'c'))
    const age = run.ask(elicitation('age?', 'd'))
    const [first] = await manager.getRequests(id)
    const tool_definition = { name: 'ask', category: 'mcp', parameters: {}, annotations: {}, outputSchema: null }
    const ended = {
      type: 'tool_call_response',
      agent_name: 'root',
      tool_definition,
      response: 'the server died',
    } as const
    await run.tell({ ...ended, tool_call_id: 'c', result: { output: 'the server died', isError: true } })
    expect(await manager.getRequest(id, first?.id ?? '')).toMatchObject({ state: 'expired', reason: 'asker_gone' })
    const late = { action: 'accept', content: {} } as const
    expect(await codeOf(manager.answerRequest(id, first?.id ?? '', late))).toBe('request_settled')
    await manager.resumeElicitation(id, { action: 'decline' })
    expect(await age).toEqual({ action: 'decline' })
    await run.end()
  })

  it.each([
    ['a policy', (built: Built, id: string) => built.manager.setSessionSafetyPolicy(id, 'autonomous')],
    ['a toggle', (built: Built, id: string) => built.manager.toggleToolApproval(id)],
    ['permissions', (built: Built, id: string) => built.manager.updateSessionPermissions(id, { allow: ['shell'] })],
  ])('settles open approvals by %s, decided by policy', async (_, change) => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    const answers = askAll(run, ['a', 'b'], byPolicy(run))
    await manager.getRequests(id)
    await change(built, id)
    expect(await Promise.all(answers)).toEqual([approve, approve])
    const settled = eventsOf(await readLog(manager, id), 'request_settled')
    expect(settled.map(({ decider, request }) => [decider, request.state])).toEqual([
      ['policy', 'answered'],
      ['policy', 'answered'],
    ])
    await run.end()
  })

  it.each(['approve-autonomous', 'approve-tool'] as const)(
    'releases the rest of a batch after %s without showing it',
    async (confirmation) => {
      const built = await house()
      const { manager } = built
      const { id, run } = await running(built)
      const answers = askAll(run, ['a', 'b', 'c'], byPolicy(run))
      await manager.getRequests(id)
      await manager.resumeSession(id, { confirmation })
      expect((await Promise.all(answers)).map((answer) => answer.confirmation)).toEqual([
        confirmation,
        'approve',
        'approve',
      ])
      const log = await readLog(manager, id)
      expect(eventsOf(log, 'request_settled').map(({ decider }) => decider)).toEqual(['client', 'policy', 'policy'])
      expect(eventsOf(log, 'tool_call_confirmation')).toHaveLength(1)
      await run.end()
    },
  )

  it('settles a request at once that the policy decides, without showing it', async () => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.setSessionSafetyPolicy(id, 'autonomous')
    expect(await run.ask(approval('a', 'shell', byPolicy(run)))).toEqual(approve)
    const types = typesOf(await readLog(manager, id))
    expect(types.slice(-2)).toEqual(['request_opened', 'request_settled'])
    await run.end()
  })

  it.each([
    ['approve', undefined, undefined, undefined],
    ['reject', undefined, undefined, undefined],
    ['approve-balanced', undefined, 'balanced', undefined],
    ['approve-autonomous', undefined, 'autonomous', undefined],
    ['approve-tool', undefined, undefined, ['ls', 'shell']],
    ['approve-tool', 'rm', undefined, ['ls', 'rm']],
    ['approve-tool', 'ls', undefined, ['ls']],
  ] as const)('keeps what %s with tool name %s grants', async (confirmation, tool_name, policy, allow) => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    await manager.updateSessionPermissions(id, { allow: ['ls'], deny: ['sudo'] })
    const answer = run.ask(approval('a'))
    await manager.resumeSession(id, { confirmation, tool_name })
    await answer
    const { safety_policy, permissions, tools_approved } = await manager.getSession(id)
    expect(safety_policy).toBe(policy)
    expect(tools_approved).toBe(policy === 'autonomous')
    expect(permissions).toEqual({ allow: allow ?? ['ls'], deny: ['sudo'] })
    await run.end()
  })

  it('withdraws requests before it aborts the run (M3)', async () => {
    const puppet = new Puppet({ stubborn: true })
    const built = await house({ puppet })
    const { manager } = built
    const { id, run } = await running(built)
    const answers = Promise.allSettled([run.ask(approval('a')), run.ask(elicitation('b?'))])
    const open = await manager.getRequests(id)
    const openAtAbort = new Promise((resolve) => {
      run.context.signal.addEventListener('abort', () => resolve(manager.getRequests(id)))
    })
    await manager.cancelRun(id, { by: 'test' }, { waitMs: 0 })
    expect(await openAtAbort).toEqual([])
    for (const answer of await answers) {
      expect(answer).toMatchObject({ status: 'rejected', reason: run.context.signal.reason })
    }
    await expect(run.ask(approval('too late'))).rejects.toBe(run.context.signal.reason)
    await run.end()
    await manager.waitStopped(id, patience)
    const settled = eventsOf(await readLog(manager, id), 'request_settled')
    expect(settled.map(({ request, decider }) => [request.id, request.state, decider])).toEqual(
      open.map((request) => [request.id, 'withdrawn', 'stop']),
    )
  })

  it.each([
    ['ends', (run: PuppetRun) => run.end()],
    ['fails', (run: PuppetRun) => run.fail(new TypeError('a defect'))],
  ])('withdraws what a run leaves open that %s, and answers nothing that it asks later (M3)', async (_, end) => {
    const built = await house()
    const { manager } = built
    const { id, run } = await running(built)
    void run.ask(approval('forgotten'))
    await end(run)
    await manager.waitStopped(id, patience)
    await expect(run.ask(approval('too late'))).rejects.toBeInstanceOf(Error)
    expect(await manager.getRequests(id)).toEqual([])
    const settled = eventsOf(await readLog(manager, id), 'request_settled')
    expect(settled.map(({ request }) => request.state)).toEqual(['withdrawn'])
  })

  it('gives an answer to the run only once it is committed (M3)', async () => {
    const built = await house()
    const { manager, store } = built
    const { id, run } = await running(built)
    let told = false
    const answer = run.ask(approval('a')).then(() => {
      told = true
    })
    await manager.getRequests(id)
    store.hold()
    const resumed = manager.resumeSession(id, approve)
    await new Promise(setImmediate)
    expect(told).toBe(false)
    store.release()
    await Promise.all([resumed, answer])
    await run.end()
  })
})

type Built = Awaited<ReturnType<ReturnType<typeof useStore>>>
