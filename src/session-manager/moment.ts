/** The moment in which it is made, on both clocks: on the one that people read, and on the one that never jumps. */
export class Moment {
  /** Milliseconds. */
  readonly ticks = performance.now()
  readonly #time = Date.now()

  /** RFC 3339 in UTC. Written when somebody asks: there is a moment for every token, and hardly anybody who asks. */
  get at(): string {
    return new Date(this.#time).toISOString()
  }
}

/** When so many milliseconds have passed since then; `undefined` for `Infinity`. The wall clock may have been set meanwhile. */
export function timeAfter({ ticks }: Moment, milliseconds: number): string | undefined {
  if (!Number.isFinite(milliseconds)) return undefined
  return new Date(Date.now() + ticks + milliseconds - performance.now()).toISOString()
}
