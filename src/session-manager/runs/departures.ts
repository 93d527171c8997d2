import type { RecoveryCause, Run } from '../../protocol/protocol.ts'
import type { LeftRun } from './left-run.ts'

/** How a run was left that is stored as running although nothing drives it. */
export interface Departure {
  readonly cause: RecoveryCause
  /** Whether the attempt that it was in is used up. */
  readonly counts: boolean
  /** The attempt that goes on with it. */
  readonly attempt: number
}

/** A run that has told something so long after it began, or went on, was not what ended its process: it begins to count anew. */
const provenMs = 10 * 60_000

/**
 * Tells how runs were left. Their process may have died of any of them, so its death counts for those that it carried something
 * out for; of those whose last attempt that was, for one alone. The first that is asked about is that one.
 */
export class Departures {
  readonly #attempts: number
  readonly #here = new Map<string, 'store_failure' | 'crash'>()
  #isBlamed = false

  /** How often a run is begun at most. */
  constructor(attempts: number) {
    this.#attempts = attempts
  }

  /**
   * This process could not commit what a session did: the store took nothing, or not that. The run that is stored as running
   * may have ended here, and another begun.
   */
  failed(sessionId: string, cause: 'store_failure' | 'crash'): void {
    this.#here.set(sessionId, cause)
  }

  /** No run of the session is stored as running. */
  forget(sessionId: string): void {
    this.#here.delete(sessionId)
  }

  /** Whether the death of the process that went on with the run would have used up its last attempt. */
  isLast({ attempt = 1 }: Run): boolean {
    return attempt > 1 && attempt >= this.#attempts
  }

  /** Whether a run cannot be begun again. */
  isExhausted({ counts, attempt }: Departure): boolean {
    return counts && attempt > this.#attempts
  }

  /** As they are to be asked about: of those that were on their last attempt the one first that had gone on last. */
  inOrder(runs: readonly Run[]): readonly Run[] {
    const { last = [], others = [] } = Object.groupBy(runs, (run) => (this.isLast(run) ? 'last' : 'others'))
    return [...others, ...last.sort((a, b) => (b.went_on_at ?? '').localeCompare(a.went_on_at ?? ''))]
  }

  /** To be asked once, when the run is found. */
  take(left: LeftRun): Departure {
    const { run, past } = left
    const { session_id, attempt = 1 } = run
    const here = this.#here.get(session_id)
    this.#here.delete(session_id)
    if (run.handed_over === true) return { cause: 'handover', counts: false, attempt }
    if (here === 'store_failure') return { cause: here, counts: false, attempt }
    const isProven = Date.parse(past.lastTold) - Date.parse(run.went_on_at ?? run.started_at) >= provenMs
    const counts = here !== undefined || (isAtWork(left) && (isProven || !this.#isSpared(run)))
    return { cause: 'crash', counts, attempt: counts ? (isProven ? 1 : attempt) + 1 : attempt }
  }

  #isSpared(run: Run): boolean {
    if (!this.isLast(run)) return false
    const isSpared = this.#isBlamed
    this.#isBlamed = true
    return isSpared
  }
}

/** Something was carried out for the run: it did not only wait for a person, or for its tasks. */
function isAtWork({ run, requests, past: { partial, openCalls } }: LeftRun): boolean {
  const open = requests.filter(({ state, run_id }) => state === 'open' && run_id === run.run_id)
  const asking = new Set(open.flatMap(({ content }) => ('tool_call_id' in content ? (content.tool_call_id ?? []) : [])))
  const isWaiting = open.length > 0 || openCalls.waitForTasks
  return partial !== undefined || !isWaiting || openCalls.areAtWork(asking)
}
