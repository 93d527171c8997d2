import { isDeepStrictEqual } from 'node:util'
import { parseDuration } from '../../protocol/protocol.ts'
import type { Above } from '../state/recorder.ts'
import { policyOf } from '../state/session-record.ts'
import type { SessionState } from '../state/session-state.ts'

/** A session among those that work for one another now, each for the one above it. */
export class SessionFamily {
  readonly #own: SessionState
  /** The session that this one carries out a task for. */
  #parent: SessionState | undefined
  /** The sessions that carry out tasks for this one. */
  readonly #below = new Set<SessionState>()

  constructor(own: SessionState) {
    this.#own = own
  }

  /** From now on the session works for another, which is told what happens and asked what may be done. */
  workFor(parent: SessionState, rootRunId: string, toldAs: Above['toldAs']): void {
    this.#parent = parent
    parent.family.#below.add(this.#own)
    this.#own.recorder.above = { rootRunId, recorder: parent.recorder, toldAs }
  }

  /** From now on the session works for nobody. */
  workAlone(): void {
    if (this.#parent !== undefined) this.#parent.family.#below.delete(this.#own)
    this.#parent = undefined
    this.#own.recorder.above = undefined
  }

  /** The session and all that it works for, from here to the top. */
  get lineage(): readonly SessionState[] {
    return [this.#own, ...(this.#parent?.family.lineage ?? [])]
  }

  /** The session and all that work for it. */
  get tree(): readonly SessionState[] {
    return [this.#own, ...[...this.#below].flatMap((child) => child.family.tree)]
  }

  /** The session that all of them work for. */
  get top(): SessionState {
    return this.lineage.at(-1) ?? this.#own
  }

  /** What was chosen here, or else for the nearest session above, or for the server. */
  get usualDeadline(): number | undefined {
    const chosen = this.lineage.find(({ record }) => record.request_deadline !== undefined)?.record.request_deadline
    return chosen === undefined ? this.#own.around.requestDeadlineMs : parseDuration(chosen)
  }

  /** Whoever works for the session may do what it may: a copy that is kept up to date. */
  sharePolicy(): void {
    const policy = policyOf(this.#own.record)
    for (const state of this.tree) {
      if (isDeepStrictEqual(policyOf(state.record), policy)) continue
      state.update(policy)
      state.tellSettings()
    }
  }
}
