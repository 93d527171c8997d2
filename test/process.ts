import { spawn } from 'node:child_process'
import { once } from 'node:events'

interface Options {
  /** The Node that runs the tests, unless another program is named. */
  readonly program?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** File descriptors that the process inherits as 3, 4 and so on. */
  readonly inherit?: readonly number[]
}

export interface Started {
  readonly pid: number
  /** Where the process says that it listens; fails when it ends without having said so. */
  readonly url: Promise<string>
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>
  /** Settles once the text stands in the log, on stderr. */
  logged(text: string): Promise<void>
  stdout(): string
  stderr(): string
  kill(signal: NodeJS.Signals): void
}

/**
 * Starts a program. Of the environment it sees only PATH, HOME and what is given, so
 * that settings of whoever runs the tests do not count.
 */
export function start(
  args: readonly string[],
  { program = process.execPath, cwd, env = {}, inherit = [] }: Options = {},
): Started {
  const { PATH, HOME } = process.env
  const child = spawn(program, args, {
    cwd,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...inherit],
  })
  const output = { stdout: '', stderr: '' }
  const exit = new Promise<{ code: number | null; signal: string | null }>((done) => {
    child.once('close', (code, signal) => done({ code, signal }))
  })
  const url = new Promise<string>((done, fail) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output.stdout += text
      const match = /^quarterdeck listens on (\S+)\n/m.exec(output.stdout)
      if (match?.[1] !== undefined) done(match[1])
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.stderr += text
    })
    exit.then(() => fail(new Error(`the process ended before it listened: ${output.stderr}`)))
  })
  // Who does not wait for the address does not want to hear that it never came.
  url.catch(() => {})
  return {
    pid: child.pid ?? -1,
    url,
    exit,
    logged: async (text) => {
      while (child.stderr && !output.stderr.includes(text)) await once(child.stderr, 'data')
    },
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    kill: (signal) => {
      child.kill(signal)
    },
  }
}
