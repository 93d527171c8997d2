import { expect, it } from 'vitest'
import { HandOver, handOverLimit, type Parcel } from '../../src/store/hand-over.ts'

/** A writer whose commits end when the test says so. */
function heldWriter() {
  const batches: { readonly loads: readonly string[]; readonly end: PromiseWithResolvers<readonly unknown[]> }[] = []
  const handOver = new HandOver<string>((batch) => {
    const end = Promise.withResolvers<readonly unknown[]>()
    batches.push({ loads: batch.map(({ load }) => load), end })
    return end.promise
  })
  return { batches, handOver }
}

function parcel(session_id: string, load: string, changes = 1, bytes = 1): Parcel<string> {
  return { session_id, load, changes, bytes }
}

const tick = () => new Promise(setImmediate)
const refused = { name: 'Refusal', code: 'store_unavailable' }

it('sends what one tick added as one batch, and what arrives meanwhile as the next', async () => {
  const { batches, handOver } = heldWriter()
  const added = ['a', 'b'].map((load) => handOver.add(parcel('s', load)))
  expect(batches).toEqual([])
  await tick()
  added.push(...['c', 'd'].map((load) => handOver.add(parcel('s', load))))
  await tick()
  expect(batches.map(({ loads }) => loads)).toEqual([['a', 'b']])
  batches[0]?.end.resolve([undefined, undefined])
  await Promise.all(added.slice(0, 2))
  await tick()
  expect(batches.map(({ loads }) => loads)).toEqual([
    ['a', 'b'],
    ['c', 'd'],
  ])
  batches[1]?.end.resolve([undefined, undefined])
  await Promise.all(added)
})

it('rejects the groups of a failed session that wait, and sends those of others (S5)', async () => {
  const { batches, handOver } = heldWriter()
  const failing = handOver.add(parcel('bad', 'a'))
  await tick()
  const settled = Promise.allSettled([failing, handOver.add(parcel('bad', 'b')), handOver.add(parcel('good', 'c'))])
  batches[0]?.end.resolve([new Error('constraint')])
  await expect(failing).rejects.toMatchObject(refused)
  const later = handOver.add(parcel('bad', 'd'))
  await tick()
  expect(batches[1]?.loads).toEqual(['c', 'd'])
  batches[1]?.end.resolve([undefined, undefined])
  await later
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
})

it('rejects a whole batch when its commit does, and goes on (S5)', async () => {
  const { batches, handOver } = heldWriter()
  const settled = Promise.allSettled(['a', 'b'].map((load) => handOver.add(parcel(load, load))))
  await tick()
  batches[0]?.end.reject(new Error('the disk is full'))
  expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  const next = handOver.add(parcel('a', 'c'))
  await tick()
  batches[1]?.end.resolve([undefined])
  await next
})

it('presses while more than the limit is uncommitted, until half of it is', async () => {
  const { batches, handOver } = heldWriter()
  const half = handOverLimit.bytes / 2
  const added = [handOver.add(parcel('s', 'a', 1, half)), handOver.add(parcel('s', 'b', 1, half))]
  await tick()
  expect(handOver.pressure).toBeUndefined()
  added.push(handOver.add(parcel('s', 'c', 1, half)))
  const { pressure } = handOver
  expect(pressure).toBeDefined()
  batches[0]?.end.resolve([undefined, undefined])
  await pressure
  expect(handOver.pressure).toBeUndefined()
  added.push(handOver.add(parcel('s', 'd', handOverLimit.changes)))
  expect(handOver.pressure).toBeDefined()
  await tick()
  batches[1]?.end.resolve([undefined, undefined])
  await handOver.flush()
  await Promise.all(added)
  expect(handOver.pressure).toBeUndefined()
})

it('rejects what waits and what comes when it is stopped, and lets what is in flight end', async () => {
  const { batches, handOver } = heldWriter()
  const inFlight = handOver.add(parcel('s', 'a'))
  await tick()
  const waiting = handOver.add(parcel('t', 'b'))
  handOver.stop(new Error('the store is closed'))
  await expect(waiting).rejects.toMatchObject(refused)
  await expect(handOver.add(parcel('t', 'c'))).rejects.toMatchObject(refused)
  batches[0]?.end.resolve([undefined])
  await inFlight
})
