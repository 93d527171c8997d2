import type { InputMessage } from '../../protocol/protocol.ts'
import type { FollowUp } from '../answers.ts'
import { fingerprintOf } from '../fingerprint.ts'
import type { Idempotency } from '../idempotency.ts'

/** What is said to a session under a key. */
export interface KeyedFollowUp {
  readonly id: string
  readonly key: string
  readonly messages: readonly InputMessage[]
}

/** Says something once; a repeat is told that it is a duplicate. */
export async function followUpOnce(
  keys: Pick<Idempotency, 'once'>,
  { id, key, messages }: KeyedFollowUp,
  say: () => Promise<FollowUp>,
): Promise<FollowUp> {
  const command = { scope: `followup ${id}`, key, fingerprint: fingerprintOf(messages) }
  const { outcome, isRepeat } = await keys.once(command, say)
  return isRepeat ? { streaming: false, duplicate: true } : outcome
}
