import { readFileSync } from 'node:fs'

const header = { size: 32, pageSize: 8, salts: 16 } as const
const frame = { size: 24, commit: 4, salts: 8 } as const

/** Whether the newest transaction in a write-ahead log has no end (SQLite file format, section 4). */
export function endsInTransaction(path: string): boolean {
  const log = readFileSync(path)
  if (log.length < header.size) return false
  const pageSize = log.readUInt32BE(header.pageSize)
  let open = false
  for (let at: number = header.size; at + frame.size <= log.length; at += frame.size + pageSize) {
    // What an older run through the log has left has other salts.
    if (log.compare(log, header.salts, header.salts + 8, at + frame.salts, at + frame.salts + 8) !== 0) break
    open = log.readUInt32BE(at + frame.commit) === 0
  }
  return open
}
