import { expect, test } from 'vitest'
import { BuiltInToolset } from '../../src/tools/built-in-toolset.ts'

test('starts for all who wait, also when the first of them leaves', async () => {
  const [opening, ready] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const toolset = new BuiltInToolset(async (signal) => {
    opening.resolve()
    await Promise.race([ready.promise, new Promise((_, reject) => signal.addEventListener('abort', reject))])
    return { tools: [], instruction: 'here' }
  })
  const [first, second] = [new AbortController(), new AbortController()]
  const starts = [toolset.start(first.signal), toolset.start(second.signal)]
  const outcomes = Promise.allSettled(starts)
  await opening.promise
  first.abort(new Error('gone'))
  ready.resolve()
  expect(await outcomes).toMatchObject([{ status: 'rejected' }, { status: 'fulfilled' }])
  expect(toolset.instruction).toBe('here')
  await toolset.close()
})

test('lets a start go when it is closed', async () => {
  const opening = Promise.withResolvers<void>()
  const toolset = new BuiltInToolset((signal) => {
    opening.resolve()
    return new Promise((_, reject) => signal.addEventListener('abort', reject))
  })
  const start = toolset.start(new AbortController().signal)
  await opening.promise
  await Promise.allSettled([toolset.close(), start])
  expect(toolset.tools).toEqual([])
})
