import { setTimeout as delay } from 'node:timers/promises'
import { expect } from 'vitest'
import { Explanation, type Recovery } from '../../src/protocol/protocol.ts'
import type { Client } from './client.ts'
import type { SessionWitness } from './session-witness.ts'

/** No run of a test takes as long. */
const patienceMs = 60_000
const lookEveryMs = 20

/**
 * Resolves when a session has come to rest: the run that a server has left has ended, and so has what waited. Where no run
 * goes on, it must be at rest already.
 */
export async function settle(client: Client, { id }: SessionWitness, recovery: Recovery = 'resume'): Promise<void> {
  const end = performance.now() + (recovery === 'interrupt' ? 0 : patienceMs)
  for (;;) {
    const explanation = await client.get(`/${id}/explain`, Explanation)
    if (explanation.state === 'idle') return
    expect(performance.now(), `session ${id} does not come to rest: ${JSON.stringify(explanation)}`).toBeLessThan(end)
    await delay(lookEveryMs)
  }
}
