/** A bare process with shells that hang, each the leader of a group as those of the server are. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'
import { answer } from '../meter.ts'

const Order = z.object({ line: z.string(), count: z.number() })

let shells: readonly ChildProcess[] = []

answer({
  /** Starts shells; answers when each has said something. */
  start: async (about) => {
    const { line, count } = Order.parse(about)
    shells = Array.from({ length: count }, () =>
      spawn('/bin/sh', ['-c', line], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] }),
    )
    await Promise.all(shells.map(({ stdout }) => stdout && once(stdout, 'data')))
  },
  /** Ends the groups; answers with the milliseconds until all pipes are closed. */
  end: async () => {
    const began = performance.now()
    const closed = Promise.all(shells.map((shell) => once(shell, 'close')))
    for (const { pid } of shells) if (pid !== undefined) process.kill(-pid, 'SIGTERM')
    await closed
    shells = []
    return performance.now() - began
  },
})

process.once('SIGTERM', () => {
  for (const { pid } of shells) if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  process.exit()
})

// The channel alone keeps no process alive.
setInterval(() => {}, 60_000)
