import { randomFillSync } from 'node:crypto'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { start } from '../../process.ts'
import { checkFleet, checkGone, checkResume, checkSession, checkSessions } from '../check.ts'
import { Client } from '../client.ts'
import { program } from '../program.ts'
import type { Random } from '../random.ts'
import { checkWorks, repeatKeyed } from '../revive.ts'
import { settle } from '../settle.ts'
import type { Witness } from '../witness.ts'
import { type Found, writeFound } from './disk.ts'
import type { Host } from './host.ts'

/** A moment at which the power went. */
export interface Cut {
  /** The folder to put the files into; it must not exist. */
  readonly folder: string
  readonly found: Found
  /** What clients had been told by then. */
  readonly witness: Witness
  /** What chooses among the checks. */
  readonly random: Random
  /** When it was, and what it took. */
  readonly story: string
  /** Whether the shared memory file is there too, with whatever a disk may leave in it. */
  readonly withSharedMemory: boolean
}

/** Puts the files of a cut where a program can be started on them. */
export function lay({ folder, found, withSharedMemory }: Cut, agents: string): void {
  mkdirSync(folder)
  cpSync(agents, join(folder, 'agents'), { recursive: true })
  writeFound(folder, found)
  if (withSharedMemory) writeFileSync(join(folder, 'quarterdeck.db-shm'), randomFillSync(Buffer.alloc(32 * 1024)))
}

/** Starts the program on what a cut has left, and checks that nothing is missing that was told before it. */
export async function check(host: Host, cut: Cut): Promise<void> {
  await checkTold(new Client(await host.open(cut.folder)), cut)
  await host.close(cut.folder)
  expect(host.complaints(), 'what the program had to complain about').toBe('')
}

/** Does the same with a process that serves nothing else. */
export async function checkAlone(cut: Cut): Promise<void> {
  const flags = ['serve', 'agents', '--listen', '127.0.0.1:0', '--log-level', 'error']
  const server = start([program, ...flags], { cwd: cut.folder })
  try {
    await checkTold(new Client(await server.url), cut)
    server.kill('SIGTERM')
    expect([await server.exit, server.stderr()]).toEqual([{ code: 0, signal: null }, ''])
  } finally {
    server.kill('SIGKILL')
  }
}

/** Checks all that was told, how readers go on, and that one of the sessions works. */
async function checkTold(client: Client, { witness, random }: Cut): Promise<void> {
  await checkSessions(client, witness)
  await checkFleet(client, witness)
  const alive = witness.sessions.filter(({ deletion }) => deletion === 'no')
  for (const session of witness.sessions) {
    if (session.deletion === 'told') await checkGone(client, session)
    else {
      await settle(client, session)
      await checkSession(client, session)
    }
  }
  const one = random.pick(alive)
  if (one === undefined) return
  await checkResume(client, one, random.between(0, one.frames.size))
  await repeatKeyed(client, one)
  await checkWorks(client, one, 'still there?')
}
