import { expect, it } from 'vitest'
import { Stopwatch } from '../../src/runtime/stopwatch.ts'

/** A stopwatch on a clock that a test moves. */
function bench() {
  let now = 1000
  const pass = (seconds: number) => {
    now += seconds * 1000
  }
  return { watch: new Stopwatch(() => now), pass }
}

it('counts the seconds of each lap', () => {
  const { watch, pass } = bench()
  pass(2)
  expect(watch.lap()).toBe(2)
  expect(watch.lap()).toBe(0)
  pass(0.5)
  expect(watch.lap()).toBe(0.5)
})

it('does not count while something is waited for, and answers what came of it', async () => {
  const { watch, pass } = bench()
  const wait = Promise.withResolvers<string>()
  pass(1)
  const held = watch.hold(wait.promise)
  pass(3600)
  wait.resolve('yes')
  expect(await held).toBe('yes')
  pass(2)
  expect(watch.lap()).toBe(3)
})

it('counts several waits at once as one, and on after a wait that failed', async () => {
  const { watch, pass } = bench()
  const [one, two] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const held = [watch.hold(one.promise), watch.hold(two.promise).catch(() => {})]
  pass(10)
  one.resolve()
  await held[0]
  pass(10)
  two.reject(new Error('as the test wants it'))
  await held[1]
  pass(3)
  expect(watch.lap()).toBe(3)
})

it('counts no wait that goes on when a lap ends, neither in that lap nor in the next', async () => {
  const { watch, pass } = bench()
  const wait = Promise.withResolvers<void>()
  pass(1)
  const held = watch.hold(wait.promise)
  pass(100)
  expect(watch.lap()).toBe(1)
  pass(50)
  expect(watch.lap()).toBe(0)
  wait.resolve()
  await held
  pass(4)
  expect(watch.lap()).toBe(4)
})
