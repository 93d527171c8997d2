import { codeOf, isCode } from './sqlite-error.ts'

const forbidden = 'the user of this process may not'
const sentences: Readonly<Record<string, string>> = {
  EACCES: forbidden,
  EPERM: forbidden,
  EROFS: 'its file system can only be read',
  ENOSPC: 'the disk is full',
  EISDIR: 'it is a directory, and a database is a file',
  ENOTDIR: 'part of its path is a file, not a directory',
  ENOENT: 'part of its path does not exist',
  SQLITE_READONLY: 'the user of this process may not write to it or to its directory',
  SQLITE_CANTOPEN: 'the user of this process may not write to it or to its directory',
  SQLITE_FULL: 'the disk is full',
  SQLITE_BUSY: 'another program keeps it locked',
}

/** Why a file cannot be used, in words that say what to look at. */
export function fileReason(error: unknown): string {
  const code = codeOfFile(error)
  const known = Object.keys(sentences).find((one) => isCode(code, one))
  return (known && sentences[known]) ?? `the system says ${code}`
}

/** The code of SQLite or of the system; an error that comes from another thread is no longer one of SQLite's. */
export function codeOfFile(error: unknown): string {
  const code = codeOf(error)
  if (code !== 'DEFECT' || !(error instanceof Error)) return code
  return 'code' in error ? String(error.code) : error.message
}
