import { afterEach, describe, expect, it, vi } from 'vitest'
import { newId } from '../../src/protocol/protocol.ts'

/** Behind the ten characters that say when. */
const randomPart = (id: string) => id.slice(10)

describe('new ids', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('sort by the order in which they were made', () => {
    const ids = Array.from({ length: 1000 }, newId)
    expect(ids.toSorted()).toEqual(ids)
  })

  it('draw another random part in each millisecond, as long as the process lives', () => {
    vi.useFakeTimers({ now: Date.now() + 60_000 })
    const ids = Array.from({ length: 500 }, () => {
      vi.advanceTimersByTime(1)
      return newId()
    })
    expect(new Set(ids.map(randomPart)).size).toBe(500)
  })
})
