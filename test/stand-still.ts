import { setImmediate as turn } from 'node:timers/promises'

/** Stops the whole process for so long, as a suspended machine does; resolves once timers that are due have fired. */
export async function standStill(milliseconds: number): Promise<void> {
  await turn()
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
  await turn()
}
