import type { FailureCode, StopReason } from '../protocol/protocol.ts'

/** The run ended badly, in a way that its session tells as an `error` event. The message is for a person. */
export class RunFailure extends Error {
  readonly code: FailureCode
  readonly reason: Extract<StopReason, 'error' | 'loop_detected' | 'budget_exceeded' | 'hook_blocked'>

  constructor(code: FailureCode, message: string, more: { reason?: RunFailure['reason']; cause?: unknown } = {}) {
    super(message, { cause: more.cause })
    this.name = 'RunFailure'
    this.code = code
    this.reason = more.reason ?? 'error'
  }
}
