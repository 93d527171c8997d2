import type { Agents } from '../../src/runtime/runtime.ts'
import { buildServer, listen, parseListenAddress } from '../../src/server/server.ts'
import { SessionManager } from '../../src/session-manager/session-manager.ts'
import { createMemoryStore } from '../../src/store/memory-store.ts'
import { Client } from '../server/client.ts'
import { echo, Puppet, type PuppetRun, TestAgents } from '../session-manager/test-agents.ts'
import { createSession, startRun } from './house.ts'

export interface ManagedServer extends AsyncDisposable {
  readonly client: Client
  readonly manager: SessionManager
  readonly puppet: Puppet
  /** A session whose run has begun, and the run, to be moved by hand. */
  begin(): Promise<{ readonly id: string; readonly run: PuppetRun }>
}

/** A server with agents of the test's own, or whose agent `hand` a test moves by hand, and whose agent `chat` says what it hears. */
export async function managedServer(own?: Agents): Promise<ManagedServer> {
  const puppet = new Puppet()
  const agents = own ?? new TestAgents({ hand: { root: puppet }, chat: { root: echo } })
  const manager = new SessionManager({ store: createMemoryStore(), agents })
  await manager.start()
  const server = await buildServer(manager, { version: 'test', closeGraceMs: 50 })
  const client = new Client(await listen(server, parseListenAddress('127.0.0.1:0')))
  return {
    client,
    manager,
    puppet,
    async begin() {
      const id = await createSession(client)
      await startRun(client, id, 'hand')
      return { id, run: await puppet.next() }
    },
    async [Symbol.asyncDispose]() {
      await server.close()
      await manager.close()
    },
  }
}
