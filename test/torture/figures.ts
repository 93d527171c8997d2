/** What happened in the rounds, for whoever wants to know whether they were worth anything. */
export class Figures {
  /** Servers that ended under load. */
  rounds = 0
  /** Servers that ended before they listened. */
  endedAtStart = 0
  kills = 0
  terminations = 0
  freezes = 0
  requests = 0
  unanswered = 0
  /** Repeats of requests that got the answer of the first time. */
  replays = 0
  sessions = 0
  events = 0
  runs = 0
  interrupted = 0
  recovered = 0
  /** Inputs that were taken back, and that were given another text. */
  taken = 0
  edited = 0
  rolledBack = 0
  tasks = 0
  questions = 0
  answers = 0
  /** Calls that took effect outside. */
  effects = 0
  /** Of those that may be repeated, how often they were. */
  repeats = 0
  readonly #began = performance.now()

  get seconds(): number {
    return Math.round((performance.now() - this.#began) / 1000)
  }

  toString(): string {
    return [...Object.entries(this), ['seconds', this.seconds]].map(([name, value]) => `${name}: ${value}`).join(', ')
  }
}
