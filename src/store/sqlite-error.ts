import Database from 'better-sqlite3'

/**
 * What a failure means for the writer. `statement`: this group cannot be written, others can. `unavailable`: nothing can
 * be written now. `fatal`: what is on disk is no longer known, so nothing may be written again.
 */
export type Severity = 'statement' | 'unavailable' | 'fatal'

const fatal = [
  'SQLITE_CORRUPT',
  'SQLITE_NOTADB',
  'SQLITE_IOERR_FSYNC',
  'SQLITE_IOERR_DIR_FSYNC',
  'SQLITE_IOERR_CORRUPTFS',
]
const unavailable = [
  'SQLITE_FULL',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_READONLY',
  'SQLITE_IOERR',
  'SQLITE_CANTOPEN',
  'SQLITE_NOMEM',
  'SQLITE_PERM',
]

/** The code of SQLite, or `DEFECT` for what SQLite did not throw. */
export function codeOf(error: unknown): string {
  return error instanceof Database.SqliteError ? error.code : 'DEFECT'
}

/** Extended codes begin with their plain code. */
export function isCode(code: string, plain: string): boolean {
  return code === plain || code.startsWith(`${plain}_`)
}

export function severityOf(code: string): Severity {
  if (fatal.some((plain) => isCode(code, plain))) return 'fatal'
  return unavailable.some((plain) => isCode(code, plain)) ? 'unavailable' : 'statement'
}

const sentences: Readonly<Record<string, string>> = {
  SQLITE_FULL: 'the disk that holds the database is full',
  SQLITE_BUSY: 'another program keeps the database locked',
  SQLITE_READONLY: 'the database may not be written to',
}

/** What an operator reads about a code. */
export function sentenceFor(code: string): string {
  const plain = Object.keys(sentences).find((known) => isCode(code, known))
  return (plain && sentences[plain]) ?? `the database cannot be written to (${code})`
}
