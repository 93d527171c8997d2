import { Refusal } from '../protocol/protocol.ts'

/** What is read of another session than the one at hand: one that is damaged is as good as gone. */
export function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (failure) {
    if (isDamage(failure)) return undefined
    throw failure
  }
}

export function isDamage(failure: unknown): boolean {
  return failure instanceof Refusal && failure.code === 'session_damaged'
}
