import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { basename, isAbsolute } from 'node:path'
import type { Readable } from 'node:stream'
import { HeadTail } from './head-tail.ts'
import { endProcessGroup } from './process-group.ts'
import { owned } from './process-owner.ts'
import { CallFailure } from './result.ts'
import type { Variables } from './variables.ts'

/** Characters of output that are kept, from each end. */
const keptChars = 1024 * 1024
/** Characters of output that are told while the command runs. */
const toldChars = 1024 * 1024
/** Milliseconds for output that is still on its way when all processes are gone. */
const drainMs = 500

const shells: ReadonlySet<string> = new Set(['sh', 'ash', 'bash', 'dash', 'ksh', 'zsh'])

export interface Command {
  /** A line for a shell. */
  readonly line: string
  readonly cwd: string
  readonly env: Variables
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Hears the output as it comes. */
  output?(chunk: string): void
}

export interface CommandEnd {
  /** What went to stdout and stderr, in the order in which it came. */
  readonly output: string
  /** `undefined` when a signal ended it. */
  readonly exitCode: number | undefined
  readonly timedOut: boolean
}

/**
 * Runs a line of a shell in a process group of its own. When it returns or throws, every process of the group is gone:
 * what a line leaves in the background ends with it. Throws the signal's reason, or a `CallFailure` when it cannot start.
 */
export async function runCommand(command: Command): Promise<CommandEnd> {
  command.signal.throwIfAborted()
  const child = start(command).on('error', () => {})
  const { pid } = child
  if (pid === undefined) throw await failureToStart(child)
  const text = collect(child, command.output)
  const closed = once(child, 'close')
  const end = await ending(child, command)
  await endProcessGroup(pid)
  await drained(child, closed)
  command.signal.throwIfAborted()
  const exitCode = child.exitCode ?? undefined
  return { output: text.toString(), exitCode, timedOut: end === 'late' }
}

function start({ line, cwd, env }: Command): ChildProcess {
  if (line.includes('\0')) throw new CallFailure('The command holds a NUL character, which no command can.')
  // Without this check the system says that the shell is missing.
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) throw new CallFailure(`${cwd} is not a directory.`)
  return spawn(shellOf(env), ['-c', line], { cwd, env: owned(env), detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** The person's shell where it understands the usual language; a service's may be a program that refuses everything. */
function shellOf({ SHELL = '' }: Variables): string {
  const usable = isAbsolute(SHELL) && shells.has(basename(SHELL)) && statSync(SHELL, { throwIfNoEntry: false })
  return usable ? SHELL : '/bin/sh'
}

async function failureToStart(child: ChildProcess): Promise<CallFailure> {
  const [error] = await once(child, 'error').catch((error: unknown) => [error])
  return new CallFailure(`The command cannot be started: ${error instanceof Error ? error.message : error}`)
}

function collect({ stdout, stderr }: ChildProcess, tell: Command['output']): HeadTail {
  const text = new HeadTail(keptChars)
  let told = 0
  const hear = (chunk: string) => {
    text.push(chunk)
    if (tell === undefined || told >= toldChars) return
    told += chunk.length
    tell(told < toldChars ? chunk : `${chunk}\n[there is more output, which is not shown while the command runs]\n`)
  }
  for (const stream of streamsOf({ stdout, stderr })) stream.setEncoding('utf8').on('data', hear)
  return text
}

function ending(child: ChildProcess, { timeoutMs, signal }: Command): Promise<'exit' | 'late' | 'stopped'> {
  const { promise, resolve } = Promise.withResolvers<'exit' | 'late' | 'stopped'>()
  const leave = () => resolve('stopped')
  const timer = setTimeout(() => resolve('late'), timeoutMs)
  signal.addEventListener('abort', leave, { once: true })
  child.once('exit', () => resolve('exit'))
  return promise.finally(() => {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  })
}

/** A process that left the group on purpose may hold the pipes for as long as it likes. */
async function drained(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
  const timer = setTimeout(() => {
    for (const stream of streamsOf(child)) stream.destroy()
  }, drainMs)
  await closed
  clearTimeout(timer)
}

function streamsOf({ stdout, stderr }: Pick<ChildProcess, 'stdout' | 'stderr'>): readonly Readable[] {
  return [stdout, stderr].filter((stream) => stream !== null)
}
