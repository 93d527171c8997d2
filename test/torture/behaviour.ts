/** What a server does with what its former process left: everything that the checks expect differently stands here. */
export interface Behaviour {
  /** Flags that make it do so. */
  readonly flags: readonly string[]
  /** Runs that belong to no connection go on; otherwise every run of a process ends with it, as `interrupted`. */
  readonly resumes: boolean
  /** Attempts of a run after which it is not taken up again. */
  readonly attempts: number
  /** Follow-ups that were accepted start a run, also by the next process, unless the last run did not end well. */
  readonly delivers: boolean
}

export const behaviours = {
  resume: { flags: [], resumes: true, attempts: 3, delivers: false },
  interrupt: {
    flags: ['--recovery', 'interrupt'],
    resumes: false,
    attempts: 1,
    delivers: false,
  },
} as const satisfies Readonly<Record<string, Behaviour>>
