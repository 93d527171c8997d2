import { describe, expect, it } from 'vitest'
import type { Runtime } from '../../src/runtime/runtime.ts'
import { RuntimeKeeper } from '../../src/session-manager/runs/runtime-keeper.ts'
import { echo, runtimeOf } from './test-agents.ts'

interface Workshop {
  readonly keeper: RuntimeKeeper
  /** The names of the runtimes that were closed, in order. */
  readonly closed: readonly string[]
  readonly defects: readonly unknown[]
  /** A runtime that is worth keeping, unless its name says that it is cheap. */
  make(name: string, closing?: Promise<void>): Runtime
}

function workshop(): Workshop {
  const closed: string[] = []
  const defects: unknown[] = []
  return {
    keeper: new RuntimeKeeper((failure) => defects.push(failure)),
    closed,
    defects,
    make: (name, closing = Promise.resolve()) => ({
      ...runtimeOf(name, echo),
      isLasting: !name.startsWith('cheap'),
      close: async () => {
        closed.push(name)
        await closing
      },
    }),
  }
}

/** What an agent that has not changed does: it answers with the runtime that is there. */
const again = (made: Runtime) => async (current: Runtime | undefined) => current ?? made

describe('A keeper of a runtime', () => {
  it('lends the same runtime again, and has it closed by nobody who gives it back', async () => {
    const { keeper, closed, make } = workshop()
    const first = await keeper.lend(again(make('a')))
    await first.release()
    const second = await keeper.lend(again(make('b')))
    expect(second.runtime).toBe(first.runtime)
    await second.release()
    expect(closed).toEqual([])
    expect(keeper.isEmpty).toBe(false)
  })

  it('closes one that is not worth keeping as soon as the last who has it gives it back', async () => {
    const { keeper, closed, make } = workshop()
    const runtime = make('cheap')
    const loans = [await keeper.lend(again(runtime)), await keeper.lend(again(make('other')))]
    expect(loans.map((loan) => loan.runtime)).toEqual([runtime, runtime])
    await loans[0]?.release()
    await loans[0]?.release()
    expect(closed).toEqual([])
    await loans[1]?.release()
    expect(closed).toEqual(['cheap'])
    expect(keeper.isEmpty).toBe(true)
  })

  it('closes the one before when another takes its place, or when it comes back', async () => {
    const { keeper, closed, make } = workshop()
    await (await keeper.lend(async () => make('a'))).release()
    const b = await keeper.lend(async () => make('b'))
    expect(closed).toEqual(['a'])
    const c = await keeper.lend(async () => make('c'))
    expect(closed).toEqual(['a'])
    await b.release()
    expect(closed).toEqual(['a', 'b'])
    await c.release()
    expect(closed).toEqual(['a', 'b'])
  })

  it('lends to one after another, so that nobody opens twice', async () => {
    const { keeper, make } = workshop()
    const opening = Promise.withResolvers<Runtime>()
    const first = keeper.lend(() => opening.promise)
    const second = keeper.lend(again(make('b')))
    opening.resolve(make('a'))
    expect((await second).runtime).toBe((await first).runtime)
  })

  it('keeps what it has when nothing else can be opened', async () => {
    const { keeper, closed, make } = workshop()
    const a = await keeper.lend(again(make('a')))
    await a.release()
    await expect(keeper.lend(() => Promise.reject(new Error('the file is broken')))).rejects.toThrow('broken')
    expect(closed).toEqual([])
    expect((await keeper.lend(again(make('b')))).runtime).toBe(a.runtime)
  })

  it('closes what has been idle for long enough, and nothing that somebody has or is about to get', async () => {
    const { keeper, closed, make } = workshop()
    const loan = await keeper.lend(again(make('a')))
    await keeper.cool(0)
    expect(closed).toEqual([])
    await loan.release()
    await keeper.cool(60_000)
    expect(closed).toEqual([])
    const seen = Promise.withResolvers<Runtime | undefined>()
    const answer = Promise.withResolvers<void>()
    const next = keeper.lend(async (current) => {
      seen.resolve(current)
      await answer.promise
      return current ?? make('b')
    })
    await seen.promise
    await keeper.cool(0)
    expect(closed).toEqual([])
    answer.resolve()
    await (await next).release()
    await keeper.cool(0)
    expect(closed).toEqual(['a'])
    expect(keeper.isEmpty).toBe(true)
  })

  it('keeps nothing once it is closed: not what is on loan, nor what is opened then', async () => {
    const { keeper, closed, make } = workshop()
    const loan = await keeper.lend(again(make('a')))
    const opening = Promise.withResolvers<Runtime>()
    const late = keeper.lend(() => opening.promise)
    await keeper.close()
    await keeper.close()
    expect(closed).toEqual([])
    await loan.release()
    opening.resolve(make('b'))
    await (await late).release()
    expect(closed.toSorted()).toEqual(['a', 'b'])
    expect(keeper.isEmpty).toBe(true)
  })

  it('tells of a runtime that cannot be closed, and goes on without it', async () => {
    const { keeper, closed, defects, make } = workshop()
    const failure = new Error('it does not let go')
    const broken = Promise.reject(failure)
    broken.catch(() => {})
    await (await keeper.lend(async () => make('a', broken))).release()
    const b = await keeper.lend(async () => make('b'))
    expect(defects).toEqual([failure])
    await b.release()
    await keeper.close()
    expect(closed).toEqual(['a', 'b'])
  })
})
