import { existsSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { onTestFinished, vi } from 'vitest'
import { type Started, start } from '../process.ts'

export const root = resolve(import.meta.dirname, '../..')

export const curl = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'curl')))

/** Starts the program as `npm start` does. It is gone when the test is over. */
export function serve(source: string, database: string, options: readonly string[] = [], env = {}): Started {
  const args = ['serve', source, '--listen', '127.0.0.1:0', '--session-db', database, '--log-level', 'error']
  return untilTheEnd(start([join(root, 'bin/quarterdeck.js'), ...args, ...options], { cwd: root, env }))
}

/** Runs a line of shell to its end. */
export async function shell(line: string, env: Readonly<Record<string, string>> = {}): Promise<Started> {
  const process = untilTheEnd(start(['-c', line], { program: '/bin/sh', env }))
  await process.exit
  return process
}

/** The line of curl that the program prints after its address. */
export function lineToTry(server: Started): Promise<string> {
  return vi.waitUntil(() => /^curl .*(?=\n)/m.exec(server.stdout())?.[0], { timeout: 30_000 })
}

export function untilTheEnd(process: Started): Started {
  onTestFinished(async () => {
    process.kill('SIGKILL')
    await process.exit
  })
  return process
}
