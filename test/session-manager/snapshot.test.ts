import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { events, type Snapshot } from '../../src/protocol/protocol.ts'
import type { RuntimeEvent } from '../../src/runtime/runtime.ts'
import {
  backends,
  collect,
  type Entry,
  entriesOf,
  newSeed,
  patience,
  readLog,
  running,
  texts,
  useStore,
} from './house.ts'
import { added, choice, type TestAgent } from './test-agents.ts'

const rounds = 30
const MessageAdded = events.message_added

/** What a run tells, and how many ticks it rests before each. */
type Line = { readonly rest: number; readonly event: RuntimeEvent }

const lines: fc.Arbitrary<Line> = fc.record({
  rest: fc.integer({ min: 0, max: 2 }),
  event: fc.oneof(
    { weight: 8, arbitrary: fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).map((text) => choice(text)) },
    { weight: 1, arbitrary: fc.constant(added('whole')) },
    {
      weight: 1,
      arbitrary: fc
        .string({ minLength: 1 })
        .map((content): RuntimeEvent => ({ type: 'agent_choice_reasoning', content, agent_name: 'root' })),
    },
    { weight: 1, arbitrary: fc.constant<RuntimeEvent>({ type: 'warning', message: 'careful' }) },
  ),
})

async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick += 1) await new Promise(setImmediate)
}

function reciting(script: readonly Line[]): TestAgent {
  return {
    async *script() {
      for (const { rest, event } of script) {
        await ticks(rest)
        yield event
      }
      return 'normal'
    },
  }
}

/** What a snapshot must show, from the log alone. */
function drawn(log: readonly Entry[], seq: number) {
  const messages: string[] = []
  let partial: string | undefined
  let streaming = false
  for (const { event } of log.slice(0, seq)) {
    if (event.type === 'user_message') messages.push(String(event.message))
    if (event.type === 'agent_choice') partial = (partial ?? '') + String(event.content)
    if (event.type === 'agent_choice_reasoning') partial ??= ''
    const answer = MessageAdded.safeParse(event).data?.message
    if (answer !== undefined) {
      partial = undefined
      messages.push(answer.message.content)
    }
    if (event.type === 'stream_started') streaming = true
    if (event.type === 'stream_stopped') streaming = false
  }
  return {
    messages: partial === undefined ? messages : [...messages, partial],
    isPartial: partial !== undefined,
    streaming,
  }
}

describe.each(backends)('snapshots over $over', (backend) => {
  const house = useStore(backend)

  it('are one point: with the tail from there nothing is missed and nothing repeated, under load', async () => {
    const seed = newSeed(`snapshots over ${backend.over}`)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(lines, { minLength: 20, maxLength: 120 }), { minLength: 1, maxLength: 4 }),
        fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 5, maxLength: 25 }),
        async (scripts, pauses) => {
          const sources = Object.fromEntries(scripts.map((script, n) => [`${n}`, { root: reciting(script) }]))
          const { manager } = await house({ sources, ringCapacity: 16 })
          const sessions = await Promise.all(scripts.map(() => manager.createSession()))
          const end = new AbortController()
          const ended = Promise.all(
            sessions.map(async ({ id }, n) => {
              await manager.runSession(id, { source: `${n}` }, { messages: [{ content: 'go' }] })
              await manager.waitStopped(id, patience)
            }),
          )
          const taken: { readonly snapshot: Snapshot; readonly tail: Promise<readonly Entry[]> }[] = []
          for (const pause of pauses) {
            await ticks(pause)
            for (const { id } of sessions) {
              const snapshot = await manager.getSessionSnapshot(id)
              expect(await manager.lastEventSeq(id)).toBeGreaterThanOrEqual(snapshot.last_event_seq)
              const options = { since: snapshot.last_event_seq, follow: true, signal: end.signal }
              taken.push({ snapshot, tail: collect(await manager.streamEvents(id, options)) })
            }
          }
          await ended
          const logs = new Map<string, readonly Entry[]>()
          for (const { id } of sessions) logs.set(id, await readLog(manager, id))
          await manager.close()
          for (const { snapshot, tail } of taken) {
            const log = logs.get(snapshot.id) ?? []
            const { messages, isPartial, streaming } = drawn(log, snapshot.last_event_seq)
            expect(texts(snapshot.messages)).toEqual(messages)
            expect(snapshot.messages?.at(-1)?.partial ?? false).toBe(isPartial)
            expect(snapshot.streaming).toBe(streaming)
            expect(await tail).toEqual(log.slice(snapshot.last_event_seq))
          }
        },
      ),
      { numRuns: rounds, seed },
    )
  }, 60_000)

  it('end with the unfinished answer, reasoning included, and without it when no messages are asked for', async () => {
    const built = await house()
    const { manager } = built
    const { id, runId, run } = await running(built)
    await run.tell({ type: 'agent_choice_reasoning', content: 'let me ', agent_name: 'root' })
    await run.say('Well')
    const snapshot = await manager.getSessionSnapshot(id)
    expect(snapshot).toMatchObject({ streaming: true, run_id: runId, agent: 'root', last_event_seq: 4 })
    expect(snapshot.messages?.at(-1)).toMatchObject({
      partial: true,
      agent_name: 'root',
      message: { role: 'assistant', content: 'Well', reasoning_content: 'let me ' },
    })
    expect((await manager.getSessionSnapshot(id, { last: 1 })).messages).toHaveLength(2)
    expect((await manager.getSessionSnapshot(id, 'none')).messages).toBeNull()
    expect(texts((await manager.getSession(id)).messages)).toEqual(['begin'])
    await run.end()
  })

  it('are told only when their seq is committed', async () => {
    const built = await house()
    const { manager, store } = built
    const { id, run } = await running(built)
    store.hold()
    await run.say('x')
    let told = false
    const snapshot = manager.getSessionSnapshot(id).finally(() => {
      told = true
    })
    await ticks(3)
    expect(told).toBe(false)
    expect(
      entriesOf(await firstPage(manager.streamEvents(id, { since: 0, follow: false, signal: run.context.signal }))),
    ).toHaveLength(2)
    store.release()
    expect((await snapshot).last_event_seq).toBe(3)
    await run.end()
  })
})

async function firstPage<T>(pages: Promise<AsyncGenerator<T, void, void>>): Promise<T> {
  const { value } = await (await pages).next()
  if (value === undefined) throw new Error('there is no page')
  return value
}
