import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, vi } from 'vitest'
import type { McpDefinition } from '../../../src/tools/mcp/mcp-definition.ts'
import { createMcpToolset } from '../../../src/tools/mcp/mcp-toolset.ts'
import type { CallContext, ToolEnvironment, Toolset } from '../../../src/tools/tools.ts'
import { tempDir } from '../../store/temp-dir.ts'
import { isAlive } from '../world.ts'

const require = createRequire(import.meta.url)

// Each test starts programs, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

/** The program of a server from the registry. */
export function programOf(server: 'everything' | 'filesystem' | 'memory'): string {
  return require.resolve(`@modelcontextprotocol/server-${server}/dist/index.js`)
}

export function environment(variables: Readonly<Record<string, string>> = {}): ToolEnvironment {
  const { PATH, HOME } = process.env
  return { workingDir: tempDir(), dataDir: tempDir(), variables: { PATH, HOME, ...variables } }
}

/** A toolset that is closed when the test is over. */
export function toolsetOf(definition: McpDefinition, where: ToolEnvironment = environment()): Toolset {
  const toolset = createMcpToolset(definition, where)
  onTestFinished(() => toolset.close())
  return toolset
}

export async function started(definition: McpDefinition, where?: ToolEnvironment): Promise<Toolset> {
  const toolset = toolsetOf(definition, where)
  await toolset.start(new AbortController().signal)
  return toolset
}

/** A server that misbehaves, with the oddities of its start. */
export function oddServer(...oddities: readonly string[]): McpDefinition {
  const program = join(import.meta.dirname, 'odd-server.ts')
  const lifecycle = { backoff: { initial: '1ms' } }
  return { name: 'odd', command: process.execPath, args: [program, ...oddities], lifecycle }
}

export type TestContext = CallContext & {
  readonly told: string[]
  readonly asked: Parameters<CallContext['elicit']>[0][]
}

/** What a call is given; it keeps what the call tells and asks. Nobody answers unless it is said how. */
export function callContext(given: Partial<CallContext> = {}): TestContext {
  const told: string[] = []
  const asked: TestContext['asked'] = []
  const { elicit = async () => ({ action: 'cancel' as const }), ...rest } = given
  return {
    callId: 'call',
    signal: new AbortController().signal,
    headers: {},
    output: (chunk) => told.push(chunk),
    ...rest,
    elicit: (question) => {
      asked.push(question)
      return elicit(question)
    },
    told,
    asked,
  }
}

/** The server's process and the one that it started. */
export async function pidsOf(toolset: Toolset): Promise<readonly number[]> {
  const { output } = await toolset.call('pids', {}, callContext())
  return JSON.parse(output)
}

export function expectGone(pids: readonly number[]): void {
  expect(pids.length).toBeGreaterThan(0)
  expect(pids.filter(isAlive)).toEqual([])
}

interface RemoteServer {
  readonly url: string
  readonly port: number
  readonly process: ChildProcess
  stop(): Promise<void>
}

/** Starts the everything server as a process that listens, on the given port or on a free one. The caller stops it. */
export async function everythingAt(kind: 'streamableHttp' | 'sse', port?: number): Promise<RemoteServer> {
  const at = port ?? (await freePort())
  const server = spawn(process.execPath, [programOf('everything'), kind], {
    env: { PATH: process.env.PATH, PORT: String(at) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const stop = async () => {
    if (server.exitCode === null && server.signalCode === null && server.kill('SIGKILL')) await once(server, 'exit')
  }
  let said = ''
  while (!/port \d+/.test(said)) said += String((await once(server.stderr, 'data'))[0])
  server.stderr.resume()
  return { url: `http://127.0.0.1:${at}/${kind === 'sse' ? 'sse' : 'mcp'}`, port: at, process: server, stop }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  await once(probe, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
