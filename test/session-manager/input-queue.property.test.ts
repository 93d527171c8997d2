import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type InputKind, queueCapacity } from '../../src/protocol/protocol.ts'
import { InputQueue } from '../../src/session-manager/input-queue.ts'
import type { InputRecord } from '../../src/store/store.ts'
import { codeOf, newSeed } from './house.ts'

type Command =
  | { readonly do: 'add'; readonly kind: InputKind; readonly count: number }
  | { readonly do: 'takeSteering' | 'takeFollowUp' | 'hold' | 'reload' }

const commands: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      kind: fc.constantFrom('steer' as const, 'followup' as const),
      count: fc.integer({ min: 1, max: 8 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('takeSteering', 'takeFollowUp', 'hold', 'reload') }) },
)

it('gives every input out once, in order, and takes lists whole or not at all (M2)', async () => {
  const seed = newSeed('the input queue')
  await fc.assert(
    fc.asyncProperty(fc.array(commands, { maxLength: 60 }), async (list) => {
      const model: Record<InputKind, string[]> = { steer: [], followup: [] }
      const stored = new Map<string, InputRecord>()
      let queue = new InputQueue('s', [])
      let held: ReadonlySet<string> = new Set()
      let counter = 0
      const drop = (inputs: readonly InputRecord[]): readonly string[] => {
        for (const { id } of inputs) stored.delete(id)
        return inputs.map(({ message }) => message.content)
      }
      for (const command of list) {
        if (command.do === 'add') {
          const { kind, count } = command
          const messages = Array.from({ length: count }, (_, index) => ({ content: `${counter + index}` }))
          counter += count
          const fits = model[kind].length + count <= queueCapacity[kind]
          const code = await codeOf(() => {
            for (const input of queue.add(kind, messages)) stored.set(input.id, input)
          })
          expect(code).toBe(fits ? undefined : `${kind}_queue_full`)
          if (fits) model[kind].push(...messages.map(({ content }) => content))
        } else if (command.do === 'takeSteering') {
          expect(drop(queue.takeSteering())).toEqual(model.steer.splice(0))
        } else if (command.do === 'takeFollowUp') {
          const input = queue.takeFollowUp()
          expect(drop(input === undefined ? [] : [input])).toEqual(model.followup.splice(0, 1))
        } else if (command.do === 'hold') {
          held = queue.waiting
        } else {
          queue = new InputQueue('s', [...stored.values()])
        }
        expect(queue.state).toEqual({
          steer: { depth: model.steer.length, capacity: 5 },
          followup: { depth: model.followup.length, capacity: 20 },
        })
        expect(queue.hasSteering).toBe(model.steer.length > 0)
        expect(queue.waiting).toEqual(new Set(stored.keys()))
        expect(queue.hasBeyond(held)).toBe([...stored.keys()].some((id) => !held.has(id)))
      }
    }),
    { numRuns: 500, seed },
  )
})
