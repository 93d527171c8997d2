/** A moment on both clocks: on the one that people read, and on the one that never jumps. */
export interface Moment {
  /** RFC 3339 in UTC. */
  readonly at: string
  /** Milliseconds. */
  readonly ticks: number
}

export function thisMoment(): Moment {
  return { at: new Date().toISOString(), ticks: performance.now() }
}

/** When so many milliseconds have passed since then; `undefined` for `Infinity`. The wall clock may have been set meanwhile. */
export function timeAfter({ ticks }: Moment, milliseconds: number): string | undefined {
  if (!Number.isFinite(milliseconds)) return undefined
  return new Date(Date.now() + ticks + milliseconds - performance.now()).toISOString()
}
