import { setImmediate as giveWay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { RunContext } from '../../src/runtime/runtime.ts'
import { buildServer, listen, parseListenAddress } from '../../src/server/server.ts'
import { SessionManager } from '../../src/session-manager/session-manager.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import { choice, type TestAgent, TestAgents } from '../session-manager/test-agents.ts'

/** A server in a process of its own: `node flood-server.ts <database>`. */

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const tool = { name: 'shell', category: 'shell', parameters: {}, annotations: {}, outputSchema: {} }

/** Tells as many MiB as it is asked for, in events of 64 KiB. */
const flood: TestAgent = {
  async *script(context) {
    const events = Number(asked(context)) * 16
    for (let n = 1; n <= events; n++) {
      const output = `${n} of ${events} `.padEnd(64 * 1024, 'flood ')
      yield { type: 'tool_call_output', tool_call_id: 'call', tool_definition: tool, output }
    }
    return 'normal'
  },
}

/** Says what the process keeps in memory, in bytes: heap and buffers without garbage, and all that it resides in. */
const memory: TestAgent = {
  async *script() {
    // What a first collection finds some buffers are given back with only later.
    for (let turn = 0; turn < 5; turn++) {
      collectGarbage()
      await giveWay()
    }
    const { heapUsed, external, rss } = process.memoryUsage()
    yield choice(JSON.stringify({ kept: heapUsed + external, rss }))
    return 'normal'
  },
}

function asked({ history }: RunContext): string {
  return history.at(-1)?.message?.message.content ?? ''
}

const manager = new SessionManager({
  store: createSqliteStore({ path: process.argv[2] ?? '' }),
  agents: new TestAgents({ flood: { root: flood }, memory: { root: memory } }),
})
await manager.start()
const server = await buildServer(manager, { version: 'test' })
console.log(`quarterdeck listens on ${await listen(server, parseListenAddress('127.0.0.1:0'))}`)
