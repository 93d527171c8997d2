import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/** Milliseconds that a process has to end in order. */
const grace = 1000
const killed = 1000

/** Ends a process and everything it started in its group. When it returns, they are gone. */
export async function endProcessGroup(pid: number): Promise<void> {
  if (!signalGroup(pid, 'SIGTERM')) return
  if (await isGone(pid, grace)) return
  signalGroup(pid, 'SIGKILL')
  await isGone(pid, killed)
}

/** Whether there was anybody to hear it. */
function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-pid, signal)
  } catch {
    return false
  }
}

async function isGone(pid: number, ms: number): Promise<boolean> {
  const start = performance.now()
  for (let pause = 5; ; pause = Math.min(2 * pause, 50)) {
    if (!signalGroup(pid, 0)) return true
    // Where nobody collects orphans, as in a container without an init, the dead stay in the group.
    if (pause === 50 && !hasLiving(pid, start)) return true
    if (performance.now() - start > ms) return false
    await wait(pause)
  }
}

let scan: { readonly at: number; readonly groups: ReadonlySet<number> } = {
  at: Number.NEGATIVE_INFINITY,
  groups: new Set(),
}

/** One look at all processes serves everybody who waits: a group that has no living member never gets one again. */
function hasLiving(group: number, since: number): boolean {
  if (!existsSync('/proc/self/stat')) return true
  const now = performance.now()
  if (scan.at < since || now - scan.at > 25) scan = { at: now, groups: livingGroups() }
  return scan.groups.has(group)
}

function livingGroups(): ReadonlySet<number> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return new Set(pids.map(groupOf).filter((group) => group !== undefined))
}

/** The group of a process that lives, where the system has `/proc`. */
export function groupOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of the program, in brackets, may hold anything; state, parent and group follow it.
    const [state, , pgrp] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' || state === 'X' ? undefined : Number(pgrp)
  } catch {
    return undefined
  }
}
