import Database from 'better-sqlite3'

/**
 * Opens a connection with the settings that every connection needs: none of them is kept in the file, and the driver's
 * default in WAL mode would lose the newest commits in a power cut.
 */
export function openConnection(path: string, mode: 'read' | 'write' = 'write'): Database.Database {
  const readonly = mode === 'read'
  const db = new Database(path, { readonly, timeout: 5000 })
  try {
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = ON')
    db.pragma('wal_autocheckpoint = 0')
    db.pragma(`journal_size_limit = ${64 * 1024 * 1024}`)
    if (readonly) db.pragma('query_only = ON')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}
