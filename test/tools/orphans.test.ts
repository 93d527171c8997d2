import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Started, start } from '../process.ts'
import { tempDir } from '../store/temp-dir.ts'
import { guardiansOf, procText } from './guardians.ts'
import { isAlive } from './world.ts'

vi.setConfig({ testTimeout: 60_000 })

/** Children in all sorts of places: in the group, in a group of their own, in a session of their own, without an environment. */
const line = `sleep 1001 & echo "pid $!"
(trap '' HUP INT TERM; exec sleep 1002) & echo "pid $!"
setsid sh -c 'echo "pid $$"; exec sleep 1003' &
setsid sh -c 'env -i sleep 1004 & echo "pid $!"; echo "pid $$"; exec sleep 1005' &
env -i sleep 1006 & echo "pid $!"
echo "pid $$"; wait`
const count = 7

interface Owning extends Started {
  readonly guardians: readonly number[]
  /** What its tool has started, if it was to start anything. */
  readonly pids: readonly number[]
}

async function own(database: string, run = '', env: Readonly<Record<string, string>> = {}): Promise<Owning> {
  const owner = start([join(import.meta.dirname, 'tool-process.ts'), database, run], { env })
  const pids = () => [...owner.stdout().matchAll(/^pid (\d+)$/gm)].map(([, pid]) => Number(pid))
  onTestFinished(async () => {
    owner.kill('SIGKILL')
    await owner.exit
    for (const pid of pids()) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  await until(() => owner.stdout().includes('owns\n') && pids().length === (run === '' ? 0 : count))
  return { ...owner, pids: pids(), guardians: guardiansOf(owner.pid) }
}

async function until(state: () => boolean): Promise<void> {
  await vi.waitUntil(state, { timeout: 30_000, interval: 10 })
}

/** Whether a process has come so far that it ignores SIGHUP, SIGINT and SIGTERM. */
function isDeaf(pid: number): boolean {
  const ignored = /^SigIgn:\t\w*(\w{4})$/m.exec(procText(String(pid), 'status'))?.[1] ?? '0'
  return (Number.parseInt(ignored, 16) & 0x4003) === 0x4003
}

function newDatabase(): string {
  const path = join(tempDir(), 'sessions.db')
  writeFileSync(path, '')
  return path
}

async function killed(owner: Owning): Promise<void> {
  owner.kill('SIGKILL')
  await owner.exit
}

async function unguarded(owner: Owning): Promise<void> {
  for (const pid of owner.guardians) process.kill(pid, 'SIGKILL')
  await until(() => !owner.guardians.some(isAlive))
}

const note = existsSync('/proc/self/environ') ? '' : ' (skipped: there is no /proc)'

describe.skipIf(note !== '')(`What a tool has started${note}`, () => {
  test('is gone soon after its server was killed, wherever it went (T6)', async () => {
    const owner = await own(newDatabase(), line)
    expect(owner.pids.map(isAlive)).toEqual(Array(count).fill(true))
    expect(owner.guardians).toHaveLength(1)
    await killed(owner)
    await until(() => !owner.pids.some(isAlive))
    await until(() => !owner.guardians.some(isAlive))
  })

  test('is gone when the next owner of the database begins, if nobody else saw to it (T6)', async () => {
    const database = newDatabase()
    const owner = await own(database, line)
    await unguarded(owner)
    await killed(owner)
    expect(owner.pids.map(isAlive)).toEqual(Array(count).fill(true))
    await own(newDatabase())
    expect(owner.pids.map(isAlive)).toEqual(Array(count).fill(true))
    await own(database)
    expect(owner.pids.filter(isAlive)).toEqual([])
  })

  test('stays while its server lives, also when that was started by a tool of an earlier one', async () => {
    const database = newDatabase()
    const first = await own(database, line)
    const mark = /QUARTERDECK_OWNER=([^\0]+)/.exec(procText(String(first.pids.at(-1)), 'environ'))?.[1] ?? ''
    expect(mark).toMatch(/^[0-9a-f]{24}\.[0-9a-f]{24}$/)
    await unguarded(first)
    await killed(first)
    const second = await own(database, line, { QUARTERDECK_OWNER: mark })
    expect(first.pids.filter(isAlive)).toEqual([])
    expect(second.pids.map(isAlive)).toEqual(Array(count).fill(true))
  })

  test('is watched by nobody who ends before its server, whatever a terminal says to it', async () => {
    const owner = await own(newDatabase(), line)
    await until(() => owner.guardians.every(isDeaf))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      for (const pid of owner.guardians) process.kill(-pid, signal)
    expect(guardiansOf(owner.pid)).toEqual(owner.guardians)
    await killed(owner)
    await until(() => !owner.pids.some(isAlive))
  })

  test('is watched only when there is something to watch', async () => {
    const owner = await own(newDatabase())
    expect(owner.guardians).toEqual([])
    expect(await owner.exit).toEqual({ code: 0, signal: null })
  })

  test('does not keep its server, and leaves no watcher behind', async () => {
    const owner = await own(newDatabase(), line)
    for (const pid of owner.pids) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    expect(await owner.exit).toEqual({ code: 0, signal: null })
    await until(() => !owner.guardians.some(isAlive))
  })
})
