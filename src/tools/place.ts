import { homedir } from 'node:os'
import { resolve } from 'node:path'
import type { ToolEnvironment } from './tools.ts'

/** The absolute path that somebody means; `~` is the home directory. */
export function placeFor(
  path: string,
  { workingDir, variables }: Pick<ToolEnvironment, 'workingDir' | 'variables'>,
): string {
  const expanded = /^~(?=\/|$)/.test(path) ? (variables.HOME ?? homedir()) + path.slice(1) : path
  return resolve(workingDir, expanded)
}
