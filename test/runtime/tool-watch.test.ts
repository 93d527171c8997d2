import { describe, expect, test } from 'vitest'
import { watchedCall } from '../../src/runtime/tool-watch.ts'
import type { CallContext } from '../../src/tools/tools.ts'
import { standStill } from '../stand-still.ts'

interface Given {
  readonly signal?: AbortSignal
  readonly elicit?: CallContext['elicit']
}

function contextOf({ signal = new AbortController().signal, elicit }: Given = {}) {
  const outputs: string[] = []
  const context: CallContext = {
    signal,
    callId: 'c',
    headers: {},
    output: (chunk) => outputs.push(chunk),
    elicit: elicit ?? (async () => ({ action: 'decline' })),
  }
  return { context, outputs }
}

/** A tool that ends when its signal says so. */
function untilAborted({ signal }: CallContext): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

describe('a tool call that is watched', () => {
  test('is ended when it says nothing for too long, and the model reads what is known', async () => {
    const { context } = contextOf()
    const result = await watchedCall(5, context, untilAborted)
    expect(result).toEqual({ output: expect.stringContaining('unknown whether it took effect'), isError: true })
    expect(context.signal.aborted).toBe(false)
  })

  test('is not waited for when it does not leave then', async () => {
    const { context } = contextOf()
    const result = await watchedCall(5, context, () => new Promise(() => {}), 5)
    expect(result).toMatchObject({ isError: true })
  })

  test('answers what it answers, and tells its output', async () => {
    const { context, outputs } = contextOf()
    const call = async ({ output }: CallContext) => {
      output('half')
      return { output: 'done' }
    }
    expect(await watchedCall(1000, context, call)).toEqual({ output: 'done' })
    expect(outputs).toEqual(['half'])
  })

  test('may be silent while a person is asked', async () => {
    const asked = Promise.withResolvers<{ readonly action: 'accept' }>()
    const { context } = contextOf({ elicit: () => asked.promise })
    const call = async ({ elicit }: CallContext) => ({ output: (await elicit({ message: 'well?' })).action })
    const answered = watchedCall(5, context, call)
    // Another one that began later is ended meanwhile.
    await watchedCall(10, contextOf().context, untilAborted)
    asked.resolve({ action: 'accept' })
    expect(await answered).toEqual({ output: 'accept' })
  })

  test('is not blamed for what came while the process stood still', async () => {
    const call = async ({ signal }: CallContext) => {
      await standStill(300)
      signal.throwIfAborted()
      return { output: 'in time' }
    }
    expect(await watchedCall(100, contextOf().context, call)).toEqual({ output: 'in time' })
  })

  test('throws what it throws, also the reason of a run that was stopped', async () => {
    const stop = new AbortController()
    const { context } = contextOf({ signal: stop.signal })
    const defect = new TypeError('a defect')
    await expect(watchedCall(1000, context, () => Promise.reject(defect))).rejects.toBe(defect)
    const stopped = watchedCall(1000, context, untilAborted)
    stop.abort(new Error('stopped'))
    await expect(stopped).rejects.toBe(stop.signal.reason)
  })

  test('is not watched when it may be silent for ever', async () => {
    const { context } = contextOf()
    const given = await watchedCall(Number.POSITIVE_INFINITY, context, async (own) => {
      expect(own).toBe(context)
      return { output: 'done' }
    })
    expect(given).toEqual({ output: 'done' })
  })
})
