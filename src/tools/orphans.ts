import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { groupOf } from './process-group.ts'

/** In the environment of every process that tools and hooks start: who owns it. */
export const ownerVariable = 'QUARTERDECK_OWNER'

/** A process while it works for a database. */
export interface Owner {
  /** The same for all processes that own the database one after another. Says nothing about where it is. */
  readonly database: string
  /** Another one for each. */
  readonly nonce: string
}

/** Milliseconds after which those that are still there are left alone. */
const patience = 5000

/**
 * Kills what an earlier owner of the same database left behind, with its process groups, and resolves when it is gone. Must not
 * be called before it is certain that no other owner lives. Does nothing where the system has no `/proc`.
 */
export async function endOrphans(owner: Owner): Promise<void> {
  const start = performance.now()
  while (killOrphans(owner) && performance.now() - start < patience) await wait(10)
}

/** Whether there was one that can be killed. */
function killOrphans(owner: Owner): boolean {
  if (!existsSync('/proc/self/environ')) return false
  const own = groupOf('self')
  const found = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && isOrphan(pid, owner))
  return found.map((pid) => killWithGroup(pid, own)).includes(true)
}

function isOrphan(pid: string, { database, nonce }: Owner): boolean {
  const mark = marksIn(pid).find((text) => text.startsWith(`${ownerVariable}=${database}.`))
  return mark !== undefined && !mark.endsWith(`.${nonce}`)
}

/** A server that was itself started by a tool carries a mark as well. */
function killWithGroup(pid: string, own: number | undefined): boolean {
  const group = groupOf(pid)
  if (group === undefined || group === own) return false
  return [-group, Number(pid)].map(kill).includes(true)
}

function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

/** The environment that a process was started with. That of a process which has ended is empty. */
function marksIn(pid: string): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
  } catch {
    return []
  }
}
