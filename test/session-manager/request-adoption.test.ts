import { describe, expect, it } from 'vitest'
import type { Request, Verdict } from '../../src/protocol/protocol.ts'
import { backends, eventsOf, readLog, running, useStore } from './house.ts'
import { RequestBench } from './request-bench.ts'
import { approval, elicitation } from './test-agents.ts'

const approve: Verdict = { confirmation: 'approve' }
const limit = { content: { kind: 'continuation', max_iterations: 3 } } as const
const form = {
  content: { kind: 'elicitation', message: 'name?', mode: 'form', schema: { type: 'object' }, url: undefined },
} as const

/** What a process leaves that dies while these questions are open. */
async function leftOpen(...questions: readonly Parameters<RequestBench['ask']>[0][]) {
  const bench = await RequestBench.open()
  for (const question of questions) void bench.ask(question)
  return bench
}

const idsOf = (requests: readonly Request[]) => requests.map(({ id }) => id)

describe('requests of a run that goes on in the next process', () => {
  it.each([
    ['an approval', approval('a'), approve],
    ['an elicitation', form, { action: 'accept', content: { name: 'x' } }],
    ['a limit', limit, approve],
  ] as const)('adopts %s that is still open: it has one request and one answer (M3)', async (_, question, answer) => {
    const bench = await (await leftOpen(question)).resumed()
    const [request] = bench.requests.open
    expect(request?.state).toBe('open')
    const asked = bench.ask(question)
    expect(idsOf(bench.requests.open)).toEqual([request?.id])
    bench.requests.settle(request?.id ?? '', answer, 'client')
    expect(await asked).toEqual(answer)
    expect((await bench.told()).filter((type) => type === 'request_opened')).toHaveLength(1)
    expect((await bench.told()).filter((type) => type === 'elicitation_request').length).toBeLessThan(2)
    expect(bench.stored).toMatchObject([{ state: 'answered', decider: 'client' }])
  })

  it.each([
    ['an approval', approval('a'), approve],
    ['an elicitation', form, { action: 'decline' }],
    ['a limit', limit, approve],
  ] as const)('gives the answer to %s that came while nobody waited, once (M3)', async (_, question, answer) => {
    const bench = await (await leftOpen(question)).resumed()
    const [request] = bench.requests.open
    bench.requests.settle(request?.id ?? '', answer, 'client')
    expect(bench.requests.isEmpty).toBe(true)
    expect(await bench.ask(question)).toEqual(answer)
    void bench.ask(question)
    expect(bench.requests.open).toHaveLength(1)
    expect(bench.requests.open[0]?.id).not.toBe(request?.id)
  })

  it('gives the answer that was stored before the process died (M3)', async () => {
    const before = await leftOpen(approval('a'))
    before.requests.settle(before.requests.open[0]?.id ?? '', { confirmation: 'reject', reason: 'no' }, 'client')
    const bench = await before.resumed()
    expect(bench.requests.isEmpty).toBe(true)
    expect(await bench.ask(approval('a'))).toEqual({ confirmation: 'reject', reason: 'no' })
    expect(bench.stored).toHaveLength(1)
  })

  it('adopts the oldest of those that ask the same, each once', async () => {
    const before = await leftOpen(form, form)
    const [first, second] = before.requests.open
    before.requests.settle(first?.id ?? '', { action: 'cancel' }, 'client')
    const bench = await before.resumed()
    expect(await bench.ask(form)).toEqual({ action: 'cancel' })
    const asked = bench.ask(form)
    expect(idsOf(bench.requests.open)).toEqual([second?.id])
    bench.requests.settle(second?.id ?? '', { action: 'decline' }, 'client')
    expect(await asked).toEqual({ action: 'decline' })
  })

  it('opens a new one for what was not asked before, or by another run', async () => {
    const before = await leftOpen(approval('a'), elicitation('name?'))
    void before.ask(approval('other'), 'another run')
    const bench = await before.resumed()
    expect(bench.requests.open).toHaveLength(2)
    void bench.ask(approval('b'))
    void bench.ask(elicitation('age?'))
    void bench.ask({ content: { kind: 'continuation', max_iterations: 4 } })
    void bench.ask(approval('a'), 'third')
    expect(bench.requests.open).toHaveLength(6)
  })

  it('takes no leave to run for leave to run again (M3)', async () => {
    const { content } = approval('a')
    const rerun = { content: { ...content, metadata: { interrupted: 'true' } } }
    const first = await leftOpen(approval('a'))
    first.requests.settle(first.requests.open[0]?.id ?? '', approve, 'client')
    const second = await first.resumed()
    void second.ask(rerun)
    const [again] = second.requests.open
    expect(again?.content).toMatchObject({ metadata: { interrupted: 'true' } })
    expect(await second.ask(approval('a'))).toEqual(approve)
    const third = await second.resumed()
    expect(idsOf(third.requests.open)).toEqual([again?.id])
    third.requests.settle(again?.id ?? '', approve, 'client')
    expect(await third.ask(rerun)).toEqual(approve)
    // It may have begun since, and be interrupted again.
    const fourth = await third.resumed()
    void fourth.ask(rerun)
    expect(fourth.requests.open).toHaveLength(1)
  })

  it('confirms the oldest one again, and then the next', async () => {
    const bench = await (await leftOpen(approval('a'), approval('b'))).resumed()
    const [a, b] = bench.requests.open
    expect(bench.requests.shown?.id).toBe(a?.id)
    const confirmed = async () => (await bench.told()).filter((type) => type === 'tool_call_confirmation').length
    expect(await confirmed()).toBe(2)
    bench.requests.settle(bench.requests.approval({}).id, approve, 'client')
    expect(bench.requests.shown?.id).toBe(b?.id)
    expect(await confirmed()).toBe(3)
    const asked = bench.ask(approval('b'))
    expect(await confirmed()).toBe(3)
    bench.requests.settle(bench.requests.approval({ tool_call_id: 'b' }).id, approve, 'client')
    expect(await asked).toEqual(approve)
  })

  it('lets the policy decide what is adopted', async () => {
    const bench = await (await leftOpen(approval('a'), approval('b'))).resumed()
    bench.requests.redecide()
    expect(bench.requests.open).toHaveLength(2)
    expect(await bench.ask(approval('a', 'shell', () => approve))).toEqual(approve)
    expect(bench.stored.map(({ state, decider }) => [state, decider])).toEqual([
      ['answered', 'policy'],
      ['open', undefined],
    ])
  })

  it('settles what nobody will ask again as expired, and leaves the rest (M3)', async () => {
    const bench = await (await leftOpen(approval('a'), elicitation('name?'), elicitation('age?'))).resumed()
    const age = bench.ask(elicitation('age?'))
    bench.requests.expireOrphans('asker_gone', ({ content }) => content.kind === 'elicitation')
    await bench.settled()
    expect(bench.stored.map(({ state, reason, decider }) => [state, reason, decider])).toEqual([
      ['open', undefined, undefined],
      ['expired', 'asker_gone', 'restart'],
      ['open', undefined, undefined],
    ])
    expect(() => bench.requests.elicitation(bench.stored[1]?.id ?? '')).toThrow(
      expect.objectContaining({ code: 'request_settled' }),
    )
    bench.requests.settle(bench.stored[2]?.id ?? '', { action: 'decline' }, 'client')
    expect(await age).toEqual({ action: 'decline' })
  })

  it('forgets the answers of what nobody will ask again', async () => {
    const before = await leftOpen(form)
    before.requests.settle(before.requests.open[0]?.id ?? '', { action: 'decline' }, 'client')
    const bench = await before.resumed()
    bench.requests.expireOrphans('asker_gone', () => true)
    void bench.ask(form)
    expect(bench.requests.open).toHaveLength(1)
    await bench.settled()
    expect(bench.stored[0]).toMatchObject({ state: 'answered' })
  })

  it('withdraws what was not adopted when the run ends, and answers nothing with it later', async () => {
    const before = await leftOpen(approval('a'), approval('b'))
    before.requests.settle(before.requests.open[1]?.id ?? '', approve, 'client')
    const bench = await before.resumed()
    bench.requests.withdraw(new Error('the run has ended'))
    await bench.settled()
    expect(bench.stored.map(({ state }) => state)).toEqual(['withdrawn', 'answered'])
    expect(bench.requests.isEmpty).toBe(true)
    void bench.ask(approval('b'))
    expect(bench.requests.open).toHaveLength(1)
  })

  it('is answered by its deadline as if the process had never died', async () => {
    const before = await RequestBench.open({ request_deadline: '10ms' })
    void before.ask({ ...approval('a'), expiry: { answer: 'allow' } })
    const bench = await before.resumed()
    expect(await bench.ask(approval('a'))).toEqual(approve)
    expect(bench.stored).toMatchObject([{ state: 'expired', decider: 'deadline', reason: 'deadline', answer: approve }])
  })
})

describe.each(backends)('requests of a run that goes on, over $over', (backend) => {
  const house = useStore(backend)

  it('survive a crash: asked, killed, answered, and the run goes on (M3)', async () => {
    const built = await house({ recovery: 'resume', recoveryDelayMs: 1 })
    const { id, run } = await running(built)
    for (const question of [approval('a'), elicitation('name?')]) run.ask(question).catch(() => {})
    const open = await built.manager.getRequests(id)
    const next = await built.crash()
    const { manager } = next
    expect(await manager.getRequests(id)).toEqual(open)
    expect(manager.findRequests({ state: 'open', session: id, limit: 9 }).entries).toEqual(open)
    await manager.resumeSession(id, { confirmation: 'approve' })
    const again = await next.puppet.next()
    expect(await again.ask(approval('a'))).toMatchObject(approve)
    const asked = again.ask(elicitation('name?'))
    await manager.answerRequest(id, open[1]?.id ?? '', { action: 'decline' })
    expect(await asked).toMatchObject({ action: 'decline' })
    await again.end()
    const log = await readLog(manager, id)
    for (const type of ['request_opened', 'request_settled'] as const) {
      expect(eventsOf(log, type).map(({ request }) => request.id)).toEqual(idsOf(open))
    }
  })
})
