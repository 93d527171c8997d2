/**
 * Carries out work and tells what it tells meanwhile, in that order; returns what it returns. `tell` answers how much
 * waits to be taken, so that whoever tells a lot can tell less. The work gets a signal that also aborts when the reader
 * leaves, who then waits for its end.
 */
export async function* told<T, R>(
  work: (tell: (event: T) => number, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): AsyncGenerator<T, R, void> {
  const leave = new AbortController()
  const waiting: T[] = []
  let ended = false
  let wake = (): void => {}
  const tell = (event: T): number => {
    const length = waiting.push(event)
    wake()
    return length
  }
  const result = work(tell, AbortSignal.any([signal, leave.signal])).finally(() => {
    ended = true
    wake()
  })
  result.catch(() => {})
  try {
    while (!ended || waiting.length > 0) {
      const next = waiting.shift()
      if (next !== undefined) yield next
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
    return await result
  } finally {
    leave.abort()
    await Promise.allSettled([result])
  }
}
