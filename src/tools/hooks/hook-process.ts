import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { endProcessGroup } from '../process-group.ts'
import { owned } from '../process-owner.ts'
import { HookFailure } from './hook.ts'

export interface HookProcess {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin?: string
}

export interface HookExit {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Characters of an answer; more is not one. */
const answerAtMost = 1_000_000
/** Characters of complaints that are kept. */
const complaintAtMost = 16_000
/** Milliseconds for output that is still on its way when all processes are gone. */
const drainMs = 500

/**
 * Runs a program to its end. When it returns or throws, nothing of its process group is left. Rejects with the signal's
 * reason after an abort, and with {@link HookFailure} when the program cannot be run, is killed or writes too much.
 */
export async function runProcess(program: HookProcess, signal: AbortSignal): Promise<HookExit> {
  signal.throwIfAborted()
  const { file, args, cwd, env } = program
  const child = spawn(file, args, { cwd, env: owned(env), detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  // Programs that do not read what they are told are no failure.
  child.stdin.on('error', () => undefined)
  if (child.pid === undefined) throw await failureToStart(child)
  const closed = once(child, 'close')
  const output = collect(child)
  child.stdin.end(program.stdin ?? '')
  await ending(child, output.flooded, signal)
  await endProcessGroup(child.pid)
  await drained(child, closed)
  signal.throwIfAborted()
  if (output.isTooMuch) throw new HookFailure('the answer is too long')
  if (child.exitCode === null) throw new HookFailure(`it was ended by ${child.signalCode}`)
  return { code: child.exitCode, stdout: output.stdout, stderr: output.stderr }
}

async function failureToStart(child: ChildProcessWithoutNullStreams): Promise<HookFailure> {
  const [error] = await once(child, 'error').catch((error: unknown) => [error])
  return new HookFailure(`it cannot be started: ${error instanceof Error ? error.message : error}`, error)
}

function collect({ stdout, stderr }: ChildProcessWithoutNullStreams) {
  const { promise: flooded, resolve } = Promise.withResolvers<void>()
  const output = { stdout: '', stderr: '', isTooMuch: false, flooded }
  stdout.setEncoding('utf8').on('data', (text: string) => {
    output.isTooMuch ||= output.stdout.length + text.length > answerAtMost
    if (output.isTooMuch) resolve()
    else output.stdout += text
  })
  stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text.slice(0, complaintAtMost - output.stderr.length)
  })
  return output
}

async function ending(
  child: ChildProcessWithoutNullStreams,
  flooded: Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { promise: stopped, resolve } = Promise.withResolvers<void>()
  const stop = () => resolve()
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([once(child, 'exit'), flooded, stopped])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** A process that left the group on purpose may hold the pipes for as long as it likes. */
async function drained({ stdout, stderr }: ChildProcessWithoutNullStreams, closed: Promise<unknown>): Promise<void> {
  const timer = setTimeout(() => {
    stdout.destroy()
    stderr.destroy()
  }, drainMs)
  await closed
  clearTimeout(timer)
}
