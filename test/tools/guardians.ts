import { readdirSync, readFileSync } from 'node:fs'

/** The processes that wait for the end of this one. */
export function guardiansOf(pid: number): readonly number[] {
  const children = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && procText(name, 'status').includes(`\nPPid:\t${pid}\n`),
  )
  return children.filter((name) => procText(name, 'cmdline').includes('quarterdeck-guardian')).map(Number)
}

/** What the system tells of a process; nothing when there is none. */
export function procText(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return ''
  }
}
