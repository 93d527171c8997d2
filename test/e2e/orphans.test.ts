import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { Started } from '../process.ts'
import { calls, command, sh } from '../runtime/tool-bench.ts'
import { Client } from '../server/client.ts'
import { tempDir } from '../store/temp-dir.ts'
import { guardiansOf } from '../tools/guardians.ts'
import { oddServer } from '../tools/mcp/harness.ts'
import { equipped, processesWith } from './equipped.ts'
import { createSession, House, startRun } from './house.ts'
import { serve } from './program.ts'

/** It has left its group before the hook ends, and with it the group. */
const leaving = `setsid sh -c ': > left; exec sleep 1001' >&- 2>&- & until [ -e left ]; do sleep 0.01; done`

/** Starts processes in every way there is, some of which leave for a session of their own, and then hangs in a call. */
const restless = equipped(
  {
    hooks: { session_start: [command(leaving)] },
    toolsets: [{ type: 'shell' }, { type: 'mcp', ...oddServer(), env: { MARK: '$' + '{env.MARK}' } }],
  },
  [[sh('setsid sleep 1002 & sleep 1003'), calls('odd_hang')], [{ text: 'done' }]],
)
/** Two sleeping in a session of their own, a shell with its child, a server with its child. */
const count = 6

async function busyServer(agents: string, database: string, mark: string): Promise<Started> {
  const server = serve(agents, database, [], { MARK: mark })
  const client = new Client(await server.url)
  const template = { safety_policy: 'autonomous', title: 'A title', working_dir: tempDir() }
  await startRun(client, await createSession(client, template), 'it')
  await until(() => childrenWith(mark, server).length >= count)
  return server
}

function childrenWith(mark: string, { pid }: Started): readonly string[] {
  return processesWith(`MARK=${mark}`).filter((other) => other !== String(pid))
}

async function until(state: () => boolean): Promise<void> {
  await vi.waitUntil(state, { timeout: 60_000, interval: 20 })
}

async function killed(server: Started): Promise<void> {
  server.kill('SIGKILL')
  await server.exit
}

const note = existsSync('/proc/self/environ') ? '' : ' (skipped: there is no /proc)'

describe.skipIf(note !== '')(`The processes of tools and hooks${note}`, () => {
  test('are gone soon after their server was killed', async () => {
    await using files = await House.open({ files: { it: restless } })
    const server = await busyServer(files.agents, join(tempDir(), 'sessions.db'), 'orphans-of-one')
    await killed(server)
    await until(() => childrenWith('orphans-of-one', server).length === 0)
  })

  test('are gone when the next server is ready, if its guardian was killed as well', async () => {
    await using files = await House.open({ files: { it: restless } })
    const database = join(tempDir(), 'sessions.db')
    const server = await busyServer(files.agents, database, 'orphans-of-two')
    const guardians = guardiansOf(server.pid)
    expect(guardians).toHaveLength(1)
    for (const pid of guardians) process.kill(pid, 'SIGKILL')
    await until(() => guardiansOf(server.pid).length === 0)
    await killed(server)
    expect(childrenWith('orphans-of-two', server).length).toBeGreaterThanOrEqual(2)
    await serve(files.agents, database).url
    expect(childrenWith('orphans-of-two', server)).toEqual([])
  })
})
