import { readFileSync, realpathSync, statSync } from 'node:fs'
import { relative, resolve, sep } from 'node:path'

/** The most bytes that are read from one file or address. */
export const maxBytes = 1024 * 1024

/** Why a file cannot be read, in words that can be shown. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable'
}

/** Reads `path`, which must lie below `baseDir` after every link in it has been followed. */
export function readInstructionFile(path: string, baseDir: string): string {
  const base = reached(baseDir)
  const target = reached(resolve(base, path))
  const way = relative(base, target)
  if (way === '' || way === '..' || way.startsWith(`..${sep}`) || resolve(way) === way) {
    throw new Unreadable(`"${path}" lies outside the directory of the agent file`)
  }
  return readText(target)
}

/** Reads a regular file of at most {@link maxBytes}; throws {@link Unreadable}. */
export function readText(path: string): string {
  try {
    const stats = statSync(path)
    if (!stats.isFile()) throw new Unreadable('it is not a regular file')
    if (stats.size > maxBytes) throw new Unreadable(`it is larger than ${maxBytes} bytes`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw asUnreadable(error)
  }
}

function reached(path: string): string {
  try {
    return realpathSync(path)
  } catch (error) {
    throw asUnreadable(error)
  }
}

function asUnreadable(error: unknown): Unreadable {
  if (error instanceof Unreadable) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
  return new Unreadable(code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`)
}
