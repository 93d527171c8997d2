import { realpathSync, statSync } from 'node:fs'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { Refusal } from '../../protocol/protocol.ts'

/**
 * Checks a working directory that a client chose, and returns the path to store: absolute, and resolved through symbolic
 * links when sessions are confined to a root. Throws `Refusal('invalid_working_dir')`.
 */
export function checkedWorkingDir(wanted: string, root: string | undefined): string {
  if (wanted.split(/[\\/]/).includes('..')) throw refused('it must not contain ..')
  const path = resolve(wanted)
  if (!isDirectory(path)) throw refused('it must be an existing directory')
  if (root === undefined) return path
  const real = realpathSync(path)
  const fromRoot = relative(realpathSync(root), real)
  if (fromRoot === '..' || fromRoot.startsWith(`..${sep}`) || isAbsolute(fromRoot)) {
    throw refused('it must lie below the root for working directories')
  }
  return real
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function refused(why: string): Refusal {
  return new Refusal('invalid_working_dir', `The working directory cannot be used: ${why}`, {
    details: [{ path: 'body.working_dir', message: why }],
  })
}
