import Database from 'better-sqlite3'

/** What retention keeps from growing, by the table that it is in. */
export const tables = ['sessions', 'runs', 'idempotency_keys', 'fleet_events'] as const

/** How many rows there are in each; they come and go with the visits, so they are shown and not judged. */
export function countRows(path: string): readonly number[] {
  const db = new Database(path, { readonly: true })
  try {
    return tables.map((name) => Number(db.prepare(`SELECT count(*) FROM ${name}`).pluck().get()))
  } finally {
    db.close()
  }
}
