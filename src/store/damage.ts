import { Refusal } from '../protocol/protocol.ts'

/** Something stored that cannot be read. */
export interface Damage {
  /** `undefined` for what belongs to no session that is there. */
  readonly session_id: string | undefined
  /** Which record: `session`, `run …`, `item 5`. */
  readonly what: string
  /** Why not, without what is stored. */
  readonly reason: string
}

/** So many pieces of damage are told one by one; whoever has more knows that by then. */
const mostTold = 1000

/** Tells each piece of damage once, however often it is met. */
export class DamageReport {
  readonly #tell: (damage: Damage) => void
  readonly #told = new Set<string>()

  constructor(tell: (damage: Damage) => void) {
    this.#tell = tell
  }

  note(damage: Damage): void {
    const name = `${damage.session_id} ${damage.what}`
    if (this.#told.has(name) || this.#told.size >= mostTold) return
    this.#told.add(name)
    this.#tell(damage)
  }
}

/** The refusal that names what cannot be read. */
export function damageRefusal({ session_id, what, reason }: Damage): Refusal {
  return new Refusal('session_damaged', `Stored data of session ${session_id} cannot be read: ${what}`, {
    details: [{ path: `stored.${what.replace(' ', '.')}`, message: reason }],
  })
}
