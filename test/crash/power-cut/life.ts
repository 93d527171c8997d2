import { join } from 'node:path'
import { start } from '../../process.ts'
import { Client } from '../client.ts'
import { killAt } from '../kill.ts'
import type { Load } from '../load.ts'
import { program } from '../program.ts'
import type { Random } from '../random.ts'
import { writtenBy } from '../written.ts'
import { Deeds } from './deeds.ts'
import { type Call, readTrace, traced } from './trace.ts'

/** A process that is to be watched. */
export interface LifeOptions {
  /** Has agents, and the database if there is one. */
  readonly folder: string
  readonly name: string
  readonly end: End
  /** Clients that may have known processes before. */
  readonly load: Load
  readonly random: Random
}

/** How a process ends, and after how many bytes under load. */
export interface End {
  readonly signal: 'SIGKILL' | 'SIGTERM'
  readonly bytes: number
}

export interface Life {
  readonly calls: readonly Call[]
  readonly deeds: Deeds
}

/** Runs the built program under load, and watches what it asks of the system. */
export async function live({ folder, name, end: { signal, bytes }, load, random }: LifeOptions): Promise<Life> {
  const trace = join(folder, 'trace')
  const flags = [
    'serve',
    join(folder, 'agents'),
    '--listen',
    '127.0.0.1:0',
    '--log-level',
    'error',
    '--shutdown-grace',
    '4s',
  ]
  const server = start([...traced(trace), process.execPath, program, ...flags], { program: 'strace', cwd: folder })
  try {
    const deeds = new Deeds(name)
    const client = new Client(await server.url, (asked) => deeds.note(asked))
    const killed = killAt(server.pid, { signal, bytes: (writtenBy(server.pid) ?? 0) + bytes, inTransaction: false })
    await load.run(client, random)
    await killed
    // Its output is open until strace has written the last line.
    await server.exit
    if (server.stderr() !== '') throw new Error(server.stderr())
    return { calls: await readTrace(trace), deeds }
  } finally {
    server.kill('SIGKILL')
  }
}
