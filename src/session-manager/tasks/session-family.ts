import { isDeepStrictEqual } from 'node:util'
import { parseDuration } from '../../protocol/protocol.ts'
import type { Above } from '../state/recorder.ts'
import { sharedOf } from '../state/session-record.ts'
import type { SessionState } from '../state/session-state.ts'

/** So often it is looked whether nothing waits to be committed. */
const mostLooks = 5

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

  /**
   * Resolves when what comes next here is committed together with what the session above is told of it, unless that one never
   * comes to rest.
   */
  async inStep(): Promise<void> {
    for (let looks = 0; looks < mostLooks; looks += 1) {
      const waiting = this.lineage.slice(0, 2).filter(({ recorder }) => !recorder.isSettled)
      if (waiting.length === 0) return
      await Promise.allSettled(waiting.map(({ recorder }) => recorder.settled()))
    }
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

  /** What is chosen for the session holds for whoever works for it: a copy that is kept up to date. */
  shareSettings(): void {
    const shared = sharedOf(this.#own.record)
    for (const state of this.tree) {
      if (isDeepStrictEqual(sharedOf(state.record), shared)) continue
      state.update(shared)
      state.tellSettings()
    }
  }
}
