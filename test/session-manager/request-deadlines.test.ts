import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Request } from '../../src/protocol/protocol.ts'
import { RequestClock } from '../../src/session-manager/requests/request-clock.ts'
import { request } from '../store/records.ts'
import { backends, codeOf, eventsOf, follow, patience, readLog, running, useStore } from './house.ts'
import { RequestBench } from './request-bench.ts'
import { approval, elicitation, Puppet, runtimeOf } from './test-agents.ts'

const limit = { content: { kind: 'continuation', max_iterations: 3 } } as const
const labelled = (label: string) => {
  const { content } = approval('a')
  return { content: { ...content, metadata: { safety_label: label } } }
}
const denied = { confirmation: 'reject', reason: 'nobody answered before the deadline' }

describe('deadlines', () => {
  it.each([
    ['an approval', approval('a'), denied],
    ['a limit', limit, denied],
    ['an elicitation', elicitation('name?'), { action: 'decline' }],
    [
      'an elicitation that is to be cancelled',
      { ...elicitation('name?'), expiry: { answer: 'cancel' } },
      { action: 'cancel' },
    ],
    ['an approval that may pass', { ...approval('a'), expiry: { answer: 'allow' } }, { confirmation: 'approve' }],
    ['a safe call that may pass', { ...labelled('safe'), expiry: { answer: 'allow' } }, { confirmation: 'approve' }],
    ['a destructive call, whatever was said', { ...labelled('destructive'), expiry: { answer: 'allow' } }, denied],
    ['a limit, whatever was said', { ...limit, expiry: { answer: 'allow' } }, denied],
    ['an approval with the word of an elicitation', { ...approval('a'), expiry: { answer: 'cancel' } }, denied],
  ] as const)('answer %s when they pass (M3)', async (_, question, answer) => {
    const bench = await RequestBench.open({ request_deadline: '1ms' })
    expect(await bench.ask(question)).toEqual(answer)
    expect(bench.requests.isEmpty).toBe(true)
    expect(bench.stored).toMatchObject([{ state: 'expired', decider: 'deadline', reason: 'deadline', answer }])
    expect((await bench.told()).at(-1)).toBe('request_settled')
    expect(bench.defects).toEqual([])
  })

  it.each([
    ['the question before the session', '1h', 60_000, 60_000],
    ['the session', '1h', undefined, 3_600_000],
    ['nobody who says zero', '1h', 0, undefined],
    ['nobody', '0s', undefined, undefined],
    ['nobody who says nothing', undefined, undefined, undefined],
  ] as const)('are those of %s', async (_, request_deadline, afterMs, given) => {
    const bench = await RequestBench.open({ request_deadline })
    void bench.ask({ ...approval('a'), expiry: { afterMs } }).catch(() => {})
    const [{ created_at, deadline, on_deadline } = request('s', 'none')] = bench.requests.open
    expect(deadline === undefined ? undefined : Date.parse(deadline) - Date.parse(created_at)).toBe(given)
    expect(on_deadline).toBe(given === undefined ? undefined : 'deny')
  })

  it('say what a call is labelled', async () => {
    const bench = await RequestBench.open()
    void bench.ask(labelled('destructive'))
    expect(bench.requests.open[0]?.label).toBe('destructive')
  })

  it('let the next approval be shown', async () => {
    const bench = await RequestBench.open()
    const first = bench.ask({ ...approval('a'), expiry: { afterMs: 1 } })
    void bench.ask(approval('b'))
    await first
    expect(bench.requests.shown?.content).toMatchObject({ tool_call: { id: 'b' } })
  })

  it('are kept by the next process, which grants no more time than there was (M3)', async () => {
    const bench = await RequestBench.open()
    const [hour, at] = [3_600_000, Date.now()]
    const ofTime = (id: string, from: number, to: number): Request => ({
      ...request('s', id),
      created_at: new Date(at + from).toISOString(),
      deadline: new Date(at + to).toISOString(),
      on_deadline: 'cancel',
      content: { kind: 'elicitation', message: id },
    })
    await bench.put(ofTime('over', -2 * hour, -hour))
    await bench.put(ofTime('open', -hour, hour))
    // The clock was set back: by the wall it has an hour left, but it never had more than a moment.
    await bench.put(ofTime('back', hour - 1, hour))
    const next = await bench.resumed()
    expect(await next.ask(elicitation('over'))).toEqual({ action: 'cancel' })
    expect(await next.ask(elicitation('back'))).toEqual({ action: 'cancel' })
    expect(next.requests.open.map(({ id }) => id)).toEqual(['open'])
  })

  it('remind once, also across restarts', async () => {
    const bench = await RequestBench.open()
    const [from, to] = [Date.now() - 3_600_000, Date.now() + 60_000]
    const times = { created_at: new Date(from).toISOString(), deadline: new Date(to).toISOString() }
    await bench.put({ ...request('s', 'late'), ...times })
    const reminders = async (of: RequestBench) => (await of.told()).filter((type) => type === 'request_reminder').length
    const second = await bench.resumed()
    while ((await reminders(second)) === 0) await new Promise(setImmediate)
    expect(second.stored[0]?.reminded_at).toBeDefined()
    const third = await second.resumed()
    await new Promise((resolve) => setTimeout(resolve, 0))
    await new Promise(setImmediate)
    expect(await reminders(third)).toBe(1)
  })

  it('pass for nobody once the session is closed, and tell a defect to whoever wants to know', async () => {
    const told: string[] = []
    const ended = Promise.withResolvers<unknown>()
    const clock = new RequestClock({
      remind: (id) => told.push(`remind ${id}`),
      end: (id) => {
        throw new Error(id)
      },
      onDefect: ended.resolve,
    })
    const deadline = new Date().toISOString()
    clock.watch({ ...request('s', 'a'), deadline })
    expect(await ended.promise).toEqual(new Error('a'))
    clock.watch({ ...request('s', 'b'), deadline })
    clock.close()
    clock.watch({ ...request('s', 'c'), deadline })
    await new Promise((resolve) => setTimeout(resolve, 0))
    expect(told).toEqual([])
  })
})

describe.each(backends)('deadlines over $over', (backend) => {
  const house = useStore(backend)

  it('remind, pass, and refuse who comes late with who was first (M3)', async () => {
    const built = await house({ requestDeadlineMs: 60_000 })
    const { manager } = built
    const { id, run } = await running(built)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] })
    onTestFinished(() => void vi.useRealTimers())
    const answer = run.ask(approval('a'))
    vi.advanceTimersByTime(45_000)
    await follow(manager, id, 'request_reminder')
    vi.advanceTimersByTime(15_000)
    expect(await answer).toEqual(denied)
    vi.useRealTimers()
    const log = await readLog(manager, id)
    const [settled] = eventsOf(log, 'request_settled')
    expect(settled).toMatchObject({ decider: 'deadline', request: { state: 'expired', reason: 'deadline' } })
    expect(eventsOf(log, 'request_reminder')[0]?.request).toMatchObject({ id: settled?.request.id, state: 'open' })
    expect(await codeOf(manager.resumeSession(id, { confirmation: 'approve', tool_call_id: 'a' }))).toBe(
      'request_settled',
    )
    const late = manager.answerRequest(id, settled?.request.id ?? '', { confirmation: 'approve' })
    await expect(late).rejects.toMatchObject({
      code: 'request_settled',
      details: expect.arrayContaining([
        { path: 'request.state', message: 'expired' },
        { path: 'request.decider', message: 'deadline' },
        { path: 'request.reason', message: 'deadline' },
      ]),
    })
    await run.end()
  })

  it('are chosen for a session and hold for what is asked below it, from then on', async () => {
    const built = await house({ requestDeadlineMs: 3_600_000 })
    const { manager } = built
    const { id, run } = await running(built)
    const worker = new Puppet()
    const open = () => runtimeOf('worker', worker)
    await run.context.tasks.begin({ open, task: 'work', title: 'work', callId: 'call-1', isBackground: false })
    const below = await worker.next()
    const ask = async (name: string, of = below) => {
      void of.ask(elicitation(name)).catch(() => {})
      const request = (await manager.getRequests(id)).at(-1)
      return request?.deadline && Date.parse(request.deadline) - Date.parse(request.created_at)
    }
    expect(await ask('a')).toBe(3_600_000)
    await manager.setSessionRequestDeadline(id, '2h')
    expect(await ask('b')).toBe(7_200_000)
    expect(await ask('c', run)).toBe(7_200_000)
    expect((await manager.getSession(id)).request_deadline).toBe('2h')
    await manager.setSessionRequestDeadline(id, '0')
    expect(await ask('d')).toBeUndefined()
    await manager.setSessionRequestDeadline(id, '')
    expect(await ask('e')).toBe(3_600_000)
    expect((await manager.getSession(id)).request_deadline).toBeUndefined()
    await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    expect(await manager.getRequests(id)).toEqual([])
  })
})
