import type { Behaviour } from './behaviour.ts'

/** What a check needs to know besides the session. */
export interface Circumstances {
  readonly behaviour: Behaviour
  /** How often each call took effect, by its token. */
  readonly effects: ReadonlyMap<string, number>
  /** Nobody has anything left to do: whatever was accepted is done. */
  readonly isLast: boolean
}

/** Throws a complaint about the session that is checked. */
export type Fail = (text: string) => never
