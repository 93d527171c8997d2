import { Refusal } from '../../protocol/protocol.ts'
import type { ActiveRun } from './active-run.ts'
import type { RunPlan } from './run-plan.ts'

/** A run that begins as soon as the one before it has left. */
export interface NextRun {
  readonly plan: RunPlan
  /** What the run before it did leaves the conversation. */
  readonly rollsBack: boolean
}

interface Waiting extends NextRun {
  readonly begun: PromiseWithResolvers<ActiveRun>
}

/** The runs that wait for the end of the one that they have stopped, in the order in which they were accepted. */
export class NextRuns {
  readonly #waiting: Waiting[] = []

  /** Resolves in the breath in which the run has begun; rejects when it never will. */
  add(next: NextRun): Promise<ActiveRun> {
    const begun = Promise.withResolvers<ActiveRun>()
    this.#waiting.push({ ...next, begun })
    return begun.promise
  }

  get first(): NextRun | undefined {
    return this.#waiting[0]
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Begins the first one. */
  begin(begin: (plan: RunPlan) => ActiveRun): ActiveRun | undefined {
    const next = this.#waiting.shift()
    if (next === undefined) return undefined
    const run = begin(next.plan)
    next.begun.resolve(run)
    return run
  }

  /** None of them begins any more. */
  refuse(): void {
    for (const { begun } of this.#waiting.splice(0)) {
      begun.reject(new Refusal('shutting_down', undefined, { retryAfter: 1 }))
    }
  }
}
