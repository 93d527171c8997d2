/** What a server does with what its former process left: everything that the checks expect differently stands here. */
export interface Behaviour {
  /** Flags that make it do so. */
  readonly flags: readonly string[]
  /** Runs that belong to no connection go on; otherwise every run of a process ends with it, as `interrupted`. */
  readonly resumes: boolean
  /** Some of its processes ask a person whether a run shall go on. */
  readonly asks: boolean
  /** Attempts of a run after which it is not taken up again. */
  readonly attempts: number
}

export const behaviours = {
  resume: { flags: [], resumes: true, asks: true, attempts: 3 },
  interrupt: {
    flags: ['--recovery', 'interrupt'],
    resumes: false,
    asks: false,
    attempts: 1,
  },
} as const satisfies Readonly<Record<string, Behaviour>>
