import { describe, expect, it } from 'vitest'
import { RunFailure, type Runtime } from '../../src/runtime/runtime.ts'
import { carryOut, session, text, types, user } from '../runtime/run-context.ts'

/** Runtimes of one kind, each made for what a test needs. */
export interface RuntimeBench {
  /** Answers in its n-th turn with the n-th text. */
  answering(texts: readonly string[]): Promise<Runtime>
  /** Says something, and then nothing more until it is stopped. */
  hanging(): Promise<Runtime>
  /** Fails in its first turn. */
  failing(): Promise<Runtime>
}

/** What every runtime promises (`src/runtime/runtime.ts`). */
export function runtimeContract(name: string, bench: RuntimeBench): void {
  describe(`${name} keeps the promises of a runtime`, () => {
    it('yields events, then returns, and yields nothing after it returned (R1)', async () => {
      const runtime = await bench.answering(['hello there'])
      const run = runtime.run(session([user('hi')]).context)
      const events = []
      let step = await run.next()
      for (; !step.done; step = await run.next()) events.push(step.value)
      expect(events.length).toBeGreaterThan(0)
      expect(step.value).toBe('normal')
      expect(await run.next()).toEqual({ done: true, value: undefined })
      await runtime.close()
    })

    it('leaves with canceled soon after the signal, in the middle of an answer (R2)', async () => {
      const runtime = await bench.hanging()
      const talk = session([user('hi')])
      const outcome = await carryOut(runtime, talk, ({ type }) => type === 'agent_choice' && talk.stop())
      expect(outcome).toMatchObject({ reason: 'canceled', error: undefined })
      await runtime.close()
    })

    it('leaves with canceled when the signal came before it began, and takes nothing (R2)', async () => {
      const runtime = await bench.answering(['never said'])
      const talk = session([user('hi')])
      talk.steering.push(user('and this'))
      talk.followUps.push(user('and that'))
      talk.stop()
      const outcome = await carryOut(runtime, talk)
      expect(outcome.reason).toBe('canceled')
      expect(text(outcome)).toBe('')
      expect(talk.taken).toEqual([])
      await runtime.close()
    })

    it('can be left by its reader at any event (R2)', async () => {
      const runtime = await bench.hanging()
      const { context } = session([user('hi')], { untitled: true })
      for await (const event of runtime.run(context)) if (event.type === 'agent_choice') break
      await runtime.close()
    })

    it('throws a RunFailure when the run failed (R3)', async () => {
      const runtime = await bench.failing()
      const outcome = await carryOut(runtime, session([user('hi')]))
      expect(outcome.reason).toBeUndefined()
      expect(outcome.error).toBeInstanceOf(RunFailure)
      await runtime.close()
    })

    it('takes steering between turns, never while an answer is written (R4)', async () => {
      const runtime = await bench.answering(['first answer', 'second answer'])
      const talk = session([user('hi')])
      const told: string[] = []
      const outcome = await carryOut(runtime, talk, ({ type }) => {
        if (type === 'agent_choice' && !told.includes('agent_choice 0')) talk.steering.push(user('more'))
        told.push(`${type} ${talk.taken.length}`)
      })
      expect(text(outcome)).toBe('first answersecond answer')
      expect(talk.taken).toEqual(['more'])
      expect(told.lastIndexOf('agent_choice 0')).toBeLessThan(told.indexOf('message_added 0'))
      expect(told.indexOf('message_added 0')).toBeLessThan(told.indexOf('agent_choice 1'))
      await runtime.close()
    })

    it('takes one follow-up at each natural stop (R4)', async () => {
      const runtime = await bench.answering(['one', 'two', 'three'])
      const talk = session([user('hi')])
      talk.followUps.push(user('then'), user('at last'))
      const taken: number[] = []
      const outcome = await carryOut(
        runtime,
        talk,
        ({ type }) => type === 'message_added' && taken.push(talk.taken.length),
      )
      expect(outcome.reason).toBe('normal')
      expect(text(outcome)).toBe('onetwothree')
      expect(taken).toEqual([0, 1, 2])
      await runtime.close()
    })

    it('prefers steering to a follow-up when a turn ends (R4)', async () => {
      const runtime = await bench.answering(['one', 'two', 'three'])
      const talk = session([user('hi')])
      talk.followUps.push(user('follow-up'))
      const outcome = await carryOut(runtime, talk, ({ type }) => {
        if (type === 'message_added' && talk.taken.length === 0) talk.steering.push(user('steered'))
      })
      expect(talk.taken).toEqual(['steered', 'follow-up'])
      expect(types(outcome).filter((type) => type === 'message_added')).toHaveLength(3)
      await runtime.close()
    })

    it('closes twice without harm', async () => {
      const runtime = await bench.answering(['hi'])
      await runtime.close()
      await runtime.close()
    })
  })
}
