import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type ErrorCode, type HeldBy, type InputKind, queueCapacity } from '../../src/protocol/protocol.ts'
import { type Answering, InputQueue } from '../../src/session-manager/inputs/input-queue.ts'
import type { InputRecord } from '../../src/store/store.ts'
import { codeOf, newSeed } from './house.ts'

/** An input as the model has it; its text is its name. */
interface Waiting {
  text: string
  readonly agent: string | undefined
  heldBy: HeldBy | undefined
}

interface Model {
  readonly steer: Waiting[]
  readonly followup: Waiting[]
}

const answering: Answering = { agent: { source: 'mine', name: 'root' }, model: undefined }

/** The queue, with a store and a client that know only what it tells. */
class Real {
  readonly stored = new Map<string, InputRecord>()
  readonly settled = new Map<string, InputRecord>()
  queue = this.#load()

  #load(): InputQueue {
    return new InputQueue('s', [...this.stored.values()], (what, input, runId) => {
      expect(this.stored.has(input.id)).toBe(what !== 'input_queued')
      expect(input.run_id).toBe(runId)
      if (what !== 'input_settled') this.stored.set(input.id, input)
      else {
        this.stored.delete(input.id)
        expect(this.settled.has(input.id)).toBe(false)
        this.settled.set(input.id, input)
      }
    })
  }

  reload(): void {
    this.queue = this.#load()
  }

  /** The n-th of all that waits, whatever n is. */
  at(n: number): InputRecord | undefined {
    const { list } = this.queue
    return list[n % list.length]
  }
}

type Step = (model: Model, real: Real) => Promise<void>

const kind = fc.constantFrom<InputKind>('steer', 'followup')
const nth = fc.nat({ max: 30 })
let counter = 0

function place(model: Model, n: number): { readonly list: Waiting[]; readonly index: number } | undefined {
  const { steer, followup } = model
  const all = steer.length + followup.length
  if (all === 0) return undefined
  const index = n % all
  return index < steer.length ? { list: steer, index } : { list: followup, index: index - steer.length }
}

const isReady = ({ heldBy }: Waiting): boolean => heldBy === undefined

function taken(list: Waiting[], which: readonly Waiting[]): readonly string[] {
  for (const one of which) list.splice(list.indexOf(one), 1)
  return which.map(({ text }) => text)
}

const texts = (inputs: readonly InputRecord[]): readonly string[] => inputs.map(({ message }) => message.content)

const add = fc
  .record({
    kind,
    count: fc.integer({ min: 1, max: 8 }),
    agent: fc.option(fc.constantFrom('mine', 'other'), { nil: undefined }),
  })
  .map(
    ({ kind, count, agent }): Step =>
      async (model, { queue }) => {
        const fits = model[kind].length + count <= queueCapacity[kind]
        const messages = Array.from({ length: count }, () => ({ content: `${counter++}` }))
        const code = await codeOf(() => queue.add(kind, messages, agent === undefined ? {} : { agent }))
        expect(code).toBe(fits ? undefined : `${kind}_queue_full`)
        if (fits) model[kind].push(...messages.map(({ content }) => ({ text: content, agent, heldBy: undefined })))
      },
  )

const change = fc
  .record({
    n: nth,
    text: fc.option(fc.constant('edited'), { nil: undefined }),
    kind: fc.option(kind, { nil: undefined }),
    before: fc.option(fc.oneof(nth, fc.constant('end' as const), fc.constant('nobody' as const)), { nil: undefined }),
    held: fc.option(fc.boolean(), { nil: undefined }),
  })
  .map(
    ({ n, text, kind, before, held }): Step =>
      async (model, real) => {
        const found = place(model, n)
        const input = real.at(n)
        const waiting = found?.list[found.index]
        if (found === undefined || waiting === undefined || input === undefined) return
        const target = kind === undefined ? found.list : model[kind]
        const next = typeof before === 'number' ? place(model, before) : undefined
        const named = typeof before === 'number' ? real.at(before)?.id : before === 'end' ? '' : before
        const isPlace =
          before === undefined || before === 'end' || (next?.list === target && next.list[next.index] !== waiting)
        const isFull = target !== found.list && target.length >= queueCapacity[kind ?? 'steer']
        const expected: ErrorCode | undefined = isPlace
          ? isFull
            ? `${kind ?? 'steer'}_queue_full`
            : undefined
          : 'invalid_request'
        const edited = text === undefined ? undefined : { content: `${text} ${counter++}` }
        const code = await codeOf(() => real.queue.update(input, { message: edited, kind, before: named, held }))
        expect(code).toBe(expected)
        if (code !== undefined) return
        waiting.text = edited?.content ?? waiting.text
        if (held !== undefined) waiting.heldBy = held ? 'client' : undefined
        if (before === undefined && target === found.list) return
        const neighbour = next?.list[next.index]
        found.list.splice(found.index, 1)
        target.splice(neighbour === undefined ? target.length : target.indexOf(neighbour), 0, waiting)
      },
  )

const cancel = nth.map(
  (n): Step =>
    async (model, real) => {
      const found = place(model, n)
      const input = real.at(n)
      if (found === undefined || input === undefined) return
      const [gone] = found.list.splice(found.index, 1)
      expect(real.queue.cancel(input)).toMatchObject({ state: 'cancelled', message: { content: gone?.text } })
    },
)

const runs: fc.Arbitrary<Step> = fc.constantFrom<Step>(
  async ({ steer }, { queue }) => expect(texts(queue.takeSteering('r'))).toEqual(taken(steer, steer.filter(isReady))),
  async ({ followup }, { queue }) => {
    const next = followup.find(isReady)
    const fits = next !== undefined && next.agent !== 'other'
    expect(queue.takeFollowUp('r', answering)?.message.content).toBe(fits ? taken(followup, [next])[0] : undefined)
  },
  async ({ steer, followup }, { queue }) => {
    const all = steer.filter(isReady)
    const first = all.length > 0 ? taken(steer, all) : taken(followup, followup.filter(isReady).slice(0, 1))
    expect(texts(queue.takeFirst('r'))).toEqual(first)
  },
)

const holds = fc.oneof(
  fc.record({ kind, by: fc.constantFrom<HeldBy>('stop', 'failure', 'budget', 'restart') }).map(
    ({ kind, by }): Step =>
      async (model, { queue }) => {
        queue.hold(kind, by)
        for (const one of model[kind].filter(isReady)) one.heldBy = by
      },
  ),
  fc.constant<Step>(async ({ steer, followup }, { queue }) => {
    queue.release()
    for (const one of [...steer, ...followup]) if (one.heldBy !== 'client') one.heldBy = undefined
  }),
)

const reload = fc.constant<Step>(async (_, real) => real.reload())

const steps = fc.oneof(
  { weight: 4, arbitrary: add },
  { weight: 4, arbitrary: change },
  { weight: 1, arbitrary: cancel },
  { weight: 3, arbitrary: runs },
  { weight: 2, arbitrary: holds },
  { weight: 1, arbitrary: reload },
)

it('gives every input out once, in order, through every edit, hold and crash, and takes lists whole (M2)', async () => {
  const seed = newSeed('the input queue')
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { maxLength: 60 }), async (list) => {
      const model: Model = { steer: [], followup: [] }
      const real = new Real()
      for (const step of list) {
        await step(model, real)
        const all = [...model.steer, ...model.followup]
        expect(texts(real.queue.list)).toEqual(all.map(({ text }) => text))
        expect(real.queue.list.map(({ held_by }) => held_by)).toEqual(all.map(({ heldBy }) => heldBy))
        expect(real.queue.list).toEqual(real.queue.list.map(({ id }) => real.stored.get(id)))
        expect(real.stored.size).toBe(all.length)
        expect(real.queue.state).toEqual({
          steer: { depth: model.steer.length, capacity: 5 },
          followup: { depth: model.followup.length, capacity: 20 },
        })
        expect(real.queue.hasReady('steer')).toBe(model.steer.some(isReady))
        expect(real.queue.first?.message.content).toBe(all.find(({ heldBy }) => heldBy !== 'client')?.text)
      }
    }),
    { numRuns: 500, seed },
  )
})

it('finds room between two inputs however often something is moved there', () => {
  const stored = new Map<string, InputRecord>()
  const queue = new InputQueue('s', [], (_, input) => stored.set(input.id, input))
  const [a, b, c, last] = queue.add('followup', [
    { content: 'a' },
    { content: 'b' },
    { content: 'c' },
    { content: 'd' },
  ])
  for (let turn = 0; turn < 200; turn += 1) {
    const moved = queue.find((turn % 2 === 0 ? c : b)?.id ?? '')
    if (moved !== undefined) queue.update(moved, { before: last?.id })
  }
  expect(texts(queue.list)).toEqual(['a', 'c', 'b', 'd'])
  expect(texts([...stored.values()].sort((one, other) => one.place - other.place))).toEqual(['a', 'c', 'b', 'd'])
  expect(queue.find(a?.id ?? '')?.state).toBe('queued')
})
