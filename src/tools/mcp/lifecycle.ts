import { parseDuration } from '../../protocol/protocol.ts'
import type { LifecycleDefinition } from './mcp-definition.ts'

/** The policy of one toolset: what its definition says, over what its profile says. Times in milliseconds. */
export interface Lifecycle {
  /** Whether a run should fail when the toolset cannot be started. For the caller: the toolset only says that it failed. */
  readonly required: boolean
  readonly restart: 'never' | 'on_failure' | 'always'
  /** How many restarts in a row, none of which led to an answered call; may be infinite. */
  readonly maxRestarts: number
  readonly startTimeoutMs: number
  /** The limit of one call, without the time a person takes to answer; may be infinite. */
  readonly callTimeoutMs: number
  /** How long after the loss of the server its n-th restart in a row begins; n counts from 1. */
  backoffMs(restart: number): number
}

const defaults = {
  startTimeoutMs: 30_000,
  callTimeoutMs: 600_000,
  maxRestarts: 5,
  backoff: { initialMs: 1000, maxMs: 32_000, multiplier: 2, jitter: 0 },
}

const profiles = {
  resilient: { required: false, restart: 'on_failure' },
  strict: { required: true, restart: 'never' },
  'best-effort': { required: false, restart: 'never' },
} as const

export function readLifecycle(definition: LifecycleDefinition = {}): Lifecycle {
  const profile = profiles[definition.profile ?? 'resilient']
  const { backoff = {} } = definition
  const initialMs = milliseconds(backoff.initial) ?? defaults.backoff.initialMs
  const maxMs = milliseconds(backoff.max) ?? defaults.backoff.maxMs
  const multiplier = backoff.multiplier ?? defaults.backoff.multiplier
  const jitter = backoff.jitter ?? defaults.backoff.jitter
  return {
    required: definition.required ?? profile.required,
    restart: definition.restart ?? profile.restart,
    maxRestarts: restartLimit(definition.max_restarts),
    startTimeoutMs: milliseconds(definition.startup_timeout) || defaults.startTimeoutMs,
    callTimeoutMs: callLimit(definition.call_timeout),
    backoffMs: (restart) => {
      const delay = Math.min(initialMs * multiplier ** (restart - 1), maxMs)
      return delay + delay * jitter * Math.random()
    },
  }
}

/** The ancestor's reading: 0 is the default and -1 is no limit. */
function restartLimit(count = 0): number {
  if (count < 0) return Number.POSITIVE_INFINITY
  return count === 0 ? defaults.maxRestarts : count
}

/** Without a word a call has our limit; `0` is an author's word for none. */
function callLimit(duration: string | undefined): number {
  const limit = milliseconds(duration) ?? defaults.callTimeoutMs
  return limit === 0 ? Number.POSITIVE_INFINITY : limit
}

function milliseconds(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : parseDuration(duration)
}
