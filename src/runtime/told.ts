import { unlessAborted } from '../tools/tools.ts'

/** How work tells what it does. */
export interface Teller<T> {
  /** Answers how much waits to be taken, so that whoever tells a lot can tell less. */
  tell(event: T): number
  /** Resolves when everything that was told until now has been taken. Rejects with the signal's reason after an abort. */
  taken(): Promise<void>
}

type Waiting<T> = { readonly event: T } | { readonly taken: () => void }

/**
 * Carries out work and tells what it tells meanwhile, in that order; returns what it returns. The work gets a signal that
 * also aborts when the reader leaves, who then waits for its end.
 */
export async function* told<T, R>(
  work: (teller: Teller<T>, signal: AbortSignal) => Promise<R>,
  signal: AbortSignal,
): AsyncGenerator<T, R, void> {
  const leave = new AbortController()
  const both = AbortSignal.any([signal, leave.signal])
  const waiting: Waiting<T>[] = []
  let ended = false
  let wake = (): void => {}
  const add = (entry: Waiting<T>): number => {
    const length = waiting.push(entry)
    wake()
    return length
  }
  const teller: Teller<T> = {
    tell: (event) => add({ event }),
    taken: () => unlessAborted(new Promise((taken) => add({ taken })), both),
  }
  const result = work(teller, both).finally(() => {
    ended = true
    wake()
  })
  result.catch(() => {})
  try {
    while (!ended || waiting.length > 0) {
      const next = waiting.shift()
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      } else if ('event' in next) yield next.event
      else next.taken()
    }
    return await result
  } finally {
    leave.abort()
    await Promise.allSettled([result])
  }
}
