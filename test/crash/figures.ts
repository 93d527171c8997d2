/** What happened in the rounds, for whoever wants to know whether they were worth anything. */
export class Figures {
  /** Servers that ended under load. */
  rounds = 0
  /** Servers that ended before they listened. */
  endedAtStart = 0
  /** Servers that ended with a transaction half written. */
  endedInTransaction = 0
  requests = 0
  /** Requests that the end left without an answer. */
  unanswered = 0
  sessions = 0
  frames = 0
  interruptedRuns = 0
  /** How often a run went on in the next server. */
  recoveries = 0
  readonly #began = performance.now()

  toString(): string {
    const seconds = Math.round((performance.now() - this.#began) / 1000)
    const entries = Object.entries({ ...this, seconds })
    return entries.map(([name, value]) => `${name}: ${value}`).join(', ')
  }
}
