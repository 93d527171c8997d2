import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  type Answer,
  hangs,
  overflows,
  reports,
  says,
  startUpstream,
  type Upstream,
  waits,
  wants,
} from '../runtime/upstream.ts'
import { createSession, House, logOf, snapshotOf, startRun } from './house.ts'
import { watchLog } from './log-watch.ts'
import { priced, runsOf, sentTo, summariesOf, systemOf, variables } from './long-session.ts'

const window = 1000
const long = (name: string, tokens: number) => name.padEnd(tokens * 3.5, '.')
const think = { toolsets: [{ type: 'think' }] }
const thinks = wants(['think', { thought: 'hm' }])

const Started = z.object({ status: z.enum(['started', 'queued']), run_id: z.string() })

/** A session on a server with these answers. `say` carries out a run, `compact` asks for a summary. */
async function opened(house: House, url: string, agent: object = {}, template: object = {}) {
  const { client } = house
  house.write('it', priced(url, { window, agent }))
  const id = await createSession(client, { title: 'A title', ...template })
  const watch = await watchLog(client, id)
  let ends = 0
  return {
    id,
    client,
    watch,
    params: { id },
    ended: () => watch.untilType('stream_stopped', ++ends),
    async say(text: string) {
      await startRun(client, id, 'it', text)
      return await watch.untilType('stream_stopped', ++ends)
    },
    async compact(body?: object) {
      const { status, body: answer } = await client.call('compact', { params: { id }, body })
      expect(status).toBe(202)
      return Started.parse(answer)
    },
  }
}

type Opened = Awaited<ReturnType<typeof opened>>

/** What became of the compactions so far. */
function outcomes({ watch }: Opened): readonly unknown[] {
  return watch.events.flatMap(({ type, outcome }) => (type === 'session_compaction' && outcome ? [outcome] : []))
}

async function textsOf({ client, id }: Opened): Promise<readonly string[]> {
  const { messages } = await snapshotOf(client, id)
  return (messages ?? []).map(
    (message) => z.object({ message: z.object({ content: z.string() }) }).parse(message).message.content,
  )
}

/** A house whose agents ask a server that answers like this. */
async function withAnswers(answers: readonly Answer[], use: (house: House, upstream: Upstream) => Promise<void>) {
  await using upstream = await startUpstream(...answers)
  await using house = await House.open({ files: { it: priced(upstream.url, { window }) }, variables })
  await use(house, upstream)
}

const filling = [reports(260, 250, long('b', 250)), reports(850, 60, 'd')] as const
const short = 'user: Summary of the conversation so far:\n\nin short'

describe('A long session', () => {
  test('goes on with a summary when its window is full, keeps all it has, and keeps the summary when the server restarts', () =>
    withAnswers(
      [...filling, reports(600, 50, 'in short'), reports(90, 5, 'f'), says('h'), says('j')],
      async (house, upstream) => {
        const it = await opened(house, upstream.url)
        await using watch = it.watch
        for (const text of [long('a', 250), 'c', 'e', 'g'])
          expect(await it.say(text)).toMatchObject({ reason: 'normal' })

        expect(summariesOf(upstream)).toBe(1)
        const asked = sentTo(upstream, 2)[0] ?? ''
        expect(asked).toMatch(/^user: User: a\.+\n\nAssistant: b\.+$/)
        expect(sentTo(upstream, 3)).toEqual([short, 'user: c', 'assistant: d', 'user: e'])
        expect(sentTo(upstream, 4)).toEqual([short, 'user: c', 'assistant: d', 'user: e', 'assistant: f', 'user: g'])

        const types = watch.events.map(({ type }) => type)
        const first = types.indexOf('session_compaction')
        const told = ['session_compaction', 'session_summary', 'token_usage', 'session_compaction', 'agent_info']
        expect(types.slice(first, first + 5)).toEqual(told)
        const cost = 510 + 910 + 650
        expect(watch.events[first + 1]).toMatchObject({ summary: 'in short', first_kept_entry: 2, cost: 650 })
        expect(watch.events[first + 2]).toMatchObject({ usage: { input_tokens: 50, output_tokens: 0, cost } })
        expect(await textsOf(it)).toEqual([long('a', 250), long('b', 250), 'c', 'd', 'e', 'f', 'g', 'h'])
        const [, , run] = await runsOf(it.client, it.id)
        expect(run).toMatchObject({ cost: 650 + 95, usage: { input_tokens: 690, output_tokens: 55 } })
        const { cost: all, spent } = await snapshotOf(it.client, it.id)
        expect(spent).toMatchObject({ cost: all, tokens: all })
        expect(all).toBe(cost + 95 + 10)
        expect(watch.events.findLast(({ type }) => type === 'token_usage')).toMatchObject({ usage: { cost: all } })

        await house.restart()
        await using after = await watchLog(house.client, it.id)
        await startRun(house.client, it.id, 'it', 'i')
        await after.untilType('stream_stopped', 5)
        expect(sentTo(upstream)).toEqual([...sentTo(upstream, 4), 'assistant: h', 'user: i'])
        expect(summariesOf(upstream)).toBe(1)
      },
    ))

  test('is summarised again and again, each summary with the one before', () =>
    withAnswers(
      [...filling, says('in short'), reports(890, 30, 'f'), says('shorter still'), says('h')],
      async (house, upstream) => {
        const it = await opened(house, upstream.url)
        await using _ = it.watch
        for (const text of [long('a', 250), 'c', long('e', 190), 'g']) await it.say(text)
        expect(sentTo(upstream, 4)[0]).toMatch(/^user: Summary of what was said before:\nin short\n\nUser: e\.+$/)
        const shorter = 'user: Summary of the conversation so far:\n\nshorter still'
        expect(sentTo(upstream)).toEqual([shorter, 'assistant: f', 'user: g'])
        expect(outcomes(it)).toEqual(['applied', 'applied'])
      },
    ))

  test('is summarised when the model finds it too long', () =>
    withAnswers([says('b'), overflows(), says('in short'), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using watch = it.watch
      await it.say(long('a', 300))
      expect(await it.say('c')).toMatchObject({ reason: 'normal' })
      expect(sentTo(upstream)).toEqual([short, 'assistant: b', 'user: c'])
      expect(watch.events.filter(({ type }) => type === 'warning')).toHaveLength(1)
    }))

  test('can be forked before and after its summary', () =>
    withAnswers(
      [...filling, says('in short'), says('f'), says('h'), says('anew'), says('x')],
      async (house, upstream) => {
        const it = await opened(house, upstream.url)
        await using _ = it.watch
        for (const text of [long('a', 250), 'c', 'e', 'g']) await it.say(text)
        const fork = async (user_message_index: number) => {
          const { body } = await it.client.call('forkSession', { params: it.params, body: { user_message_index } })
          const { id } = z.object({ id: z.string() }).parse(body)
          await using watch = await watchLog(it.client, id)
          await startRun(it.client, id, 'it', 'other')
          await watch.untilType('stream_stopped')
          return sentTo(upstream).slice(0, -1)
        }
        // This one is as full as the session was then.
        const anew = 'user: Summary of the conversation so far:\n\nanew'
        expect(await fork(2)).toEqual([anew, 'user: c', 'assistant: d'])
        expect(await fork(3)).toEqual([short, 'user: c', 'assistant: d', 'user: e', 'assistant: f'])
        expect(summariesOf(upstream)).toBe(2)
      },
    ))
})

describe('A summary that a client asks for', () => {
  test('is made in a run of its own when no run goes on', () =>
    withAnswers([says('b'), reports(20, 5, 'in short'), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using watch = it.watch
      await it.say(long('a', 300))
      const { status, run_id } = await it.compact({ additional_prompt: 'the port is 8080' })
      expect(status).toBe('started')
      expect(await it.ended()).toMatchObject({ reason: 'normal', run_id })
      expect(systemOf(upstream)).toMatch(/the port is 8080$/)
      const own = watch.events.filter((event) => event.run_id === run_id).map(({ type }) => type)
      expect(own).toEqual([
        'session_title',
        'stream_started',
        'session_compaction',
        'session_summary',
        'token_usage',
        'session_compaction',
        'stream_stopped',
      ])
      expect((await runsOf(it.client, it.id)).at(-1)).toMatchObject({
        trigger: 'compaction',
        status: 'completed',
        cost: 25,
      })
      expect(await snapshotOf(it.client, it.id)).toMatchObject({ input_tokens: 5, output_tokens: 0, cost: 35 })
      await it.say('c')
      expect(sentTo(upstream)).toEqual([short, 'assistant: b', 'user: c'])
    }))

  test('is made before the next model call of a run that goes on', async () => {
    const gate = Promise.withResolvers<void>()
    await withAnswers([waits(gate.promise, thinks), says('in short'), says('b')], async (house, upstream) => {
      const it = await opened(house, upstream.url, think)
      await using watch = it.watch
      const run_id = await startRun(it.client, it.id, 'it', long('a', 300))
      await watch.untilType('agent_info')
      expect(await it.compact()).toEqual({ status: 'queued', run_id })
      gate.resolve()
      expect(await it.ended()).toMatchObject({ reason: 'normal', run_id })
      expect(upstream.calls.map((_, call) => systemOf(upstream, call).startsWith('You compress'))).toEqual([
        false,
        true,
        false,
      ])
      expect(sentTo(upstream)).toEqual([short, 'assistant: [1 calls]', expect.stringMatching(/^tool: /)])
      expect(outcomes(it)).toEqual(['applied'])
    })
  })

  test('is made at the end of a run that makes no more model calls', async () => {
    const gate = Promise.withResolvers<void>()
    await withAnswers([waits(gate.promise, says('b')), says('in short'), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using watch = it.watch
      await startRun(it.client, it.id, 'it', long('a', 300))
      await watch.untilType('agent_info')
      expect((await it.compact()).status).toBe('queued')
      gate.resolve()
      await it.ended()
      expect(outcomes(it)).toEqual(['applied'])
      expect(await runsOf(it.client, it.id)).toHaveLength(1)
      await it.say('c')
      expect(sentTo(upstream)).toEqual([short, 'assistant: b', 'user: c'])
    })
  })

  test('is skipped when there is nothing to summarise', () =>
    withAnswers([says('b'), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using _ = it.watch
      expect((await it.client.call('compact', { params: it.params })).code).toBe('session_not_running')
      await it.say('a')
      await it.compact()
      expect(await it.ended()).toMatchObject({ reason: 'normal' })
      expect(outcomes(it)).toEqual(['skipped'])
      expect(upstream.calls).toHaveLength(1)
      await it.say('c')
      expect(sentTo(upstream)).toEqual(['user: a', 'assistant: b', 'user: c'])
    }))

  test('can be cancelled in its middle, and nothing has changed', () =>
    withAnswers([says('b'), hangs('half'), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using watch = it.watch
      await it.say(long('a', 300))
      await it.compact()
      await watch.untilType('session_compaction')
      const stop = await it.client.call('cancelRun', { params: it.params })
      expect(stop.body).toMatchObject({ run: { status: 'canceled', trigger: 'compaction' } })
      expect(await it.ended()).toMatchObject({ reason: 'canceled' })
      expect(outcomes(it)).toEqual(['skipped'])
      await it.say('c')
      expect(sentTo(upstream)).toEqual([`user: ${long('a', 300)}`, 'assistant: b', 'user: c'])
      expect(await textsOf(it)).toEqual([long('a', 300), 'b', 'c', 'd'])
    }))

  test('is made once when two ask at the same time, and each is told what became of it', () =>
    withAnswers([says('b'), says('in short'), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using _ = it.watch
      await it.say(long('a', 300))
      const answers = await Promise.all([it.compact(), it.compact(), it.compact()])
      expect(answers.map(({ status }) => status).sort()).toEqual(['queued', 'queued', 'started'])
      expect(new Set(answers.map(({ run_id }) => run_id)).size).toBe(1)
      await it.ended()
      expect(summariesOf(upstream)).toBe(1)
      expect(outcomes(it)).toEqual(['applied', 'skipped'])
      await it.say('c')
      expect(sentTo(upstream)).toEqual([short, 'assistant: b', 'user: c'])
    }))

  test('keeps what is said meanwhile for the run that follows', async () => {
    const gate = Promise.withResolvers<void>()
    await withAnswers([says('b'), waits(gate.promise, says('in short')), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using watch = it.watch
      await it.say(long('a', 300))
      await it.compact()
      await watch.untilType('session_compaction')
      const messages = [{ role: 'user', content: 'c' }]
      await it.client.call('followUp', { params: it.params, body: { messages } })
      gate.resolve()
      await it.ended()
      expect(await it.ended()).toMatchObject({ reason: 'normal' })
      expect(sentTo(upstream)).toEqual([short, 'assistant: b', 'user: c'])
      expect((await runsOf(it.client, it.id)).map(({ trigger }) => trigger)).toEqual([
        'detached',
        'compaction',
        'queue',
      ])
    })
  })

  test('is told as skipped when the run ends before it', async () => {
    await withAnswers([hangs('and so'), says('d')], async (house, upstream) => {
      const it = await opened(house, upstream.url)
      await using watch = it.watch
      await startRun(it.client, it.id, 'it', long('a', 300))
      await watch.untilType('agent_choice')
      await it.compact()
      await it.client.call('cancelRun', { params: it.params })
      expect(await it.ended()).toMatchObject({ reason: 'canceled' })
      expect(outcomes(it)).toEqual(['skipped'])
      expect(summariesOf(upstream)).toBe(0)
      expect((await logOf(it.client, it.id)).at(-1)?.type).toBe('stream_stopped')
    })
  })
})
