import { readFileSync } from 'node:fs'

/** Bytes that a process has handed to `write` so far, to files and sockets alike; `undefined` when there is no such process. */
export function writtenBy(pid: number): number | undefined {
  try {
    const line = /^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))
    return Number(line?.[1])
  } catch {
    return undefined
  }
}
