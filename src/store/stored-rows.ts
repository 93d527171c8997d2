import { type Damage, DamageReport, damageRefusal } from './damage.ts'
import { readRecord, type Stored, type StoredKind } from './stored-record.ts'

/** A row with a record as JSON. */
export interface StoredRow {
  readonly json: string
  readonly session: string | undefined
  /** Which one of its kind. */
  readonly id: string | number | undefined
  /** What the record must say of itself. */
  readonly own?: Readonly<Record<string, string | undefined>> | undefined
}

/** Reads the records of rows: refuses those of one session that are damaged, and passes those over that are among many. */
export class StoredRows {
  readonly #report: DamageReport

  constructor(onDamage: (damage: Damage) => void) {
    this.#report = new DamageReport(onDamage)
  }

  /** Throws `Refusal('session_damaged')`. */
  need<K extends StoredKind>(kind: K, row: StoredRow): Stored[K] {
    const read = this.#read(kind, row)
    if ('record' in read) return read.record
    throw damageRefusal(read)
  }

  /** `undefined` for what cannot be read. */
  readable<K extends StoredKind>(kind: K, row: StoredRow): Stored[K] | undefined {
    const read = this.#read(kind, row)
    return 'record' in read ? read.record : undefined
  }

  note(damage: Damage): void {
    this.#report.note(damage)
  }

  #read<K extends StoredKind>(kind: K, { json, session, id, own = {} }: StoredRow): { record: Stored[K] } | Damage {
    const read = readRecord(kind, json, own)
    if ('record' in read) return read
    const what = id === undefined ? kind : `${kind} ${id}`
    const damage = { session_id: session, what, reason: read.reason }
    this.note(damage)
    return damage
  }
}
