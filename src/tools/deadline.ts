import { CallFailure } from './result.ts'

/** Gives work a signal that also aborts after some seconds. Throws a `CallFailure` when that is why it failed. */
export async function within<T>(
  seconds: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), seconds * 1000)
  try {
    return await work(AbortSignal.any([signal, late.signal]))
  } catch (error) {
    signal.throwIfAborted()
    throw late.signal.aborted ? new CallFailure(`It took longer than ${seconds} s.`) : error
  } finally {
    clearTimeout(timer)
  }
}
