import { lstatSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { CallFailure } from './result.ts'

/** Directories that may be used, and those that may not, as real paths. Without the first all may. */
export interface Bounds {
  readonly allowed: readonly string[] | undefined
  readonly denied: readonly string[]
}

const maxLinks = 40

/** The bounds that lists of absolute paths stand for now. */
export function boundsOf(allow: readonly string[], deny: readonly string[]): Bounds {
  return {
    allowed: allow.length === 0 ? undefined : allow.map((path) => realPath(path)),
    denied: deny.map((path) => realPath(path)),
  }
}

/** Whether a real path lies within the bounds. */
export function isWithin(path: string, { allowed, denied }: Bounds): boolean {
  if (denied.some((root) => contains(root, path))) return false
  return allowed === undefined || allowed.some((root) => contains(root, path))
}

/**
 * Where a path really leads, also if nothing is there yet: work on that path cannot be led elsewhere by a link.
 * Throws a `CallFailure` when it lies outside of the bounds.
 */
export function checkedPath(path: string, bounds: Bounds): string {
  if (path.includes('\0')) throw new CallFailure('A path cannot hold a NUL character.')
  const real = realPath(path)
  if (isWithin(real, bounds)) return real
  throw new CallFailure(`${path} is outside of the directories that may be used here.`)
}

function contains(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep)
}

function realPath(path: string, links = 0): string {
  try {
    return realpathSync(path)
  } catch (error) {
    if (links > maxLinks || !isAbsence(error)) throw error
  }
  const parent = dirname(path)
  if (parent === path) return path
  const place = join(realPath(parent, links), basename(path))
  // A link to something that is not there yet would be followed by who writes to it.
  if (lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return place
  return realPath(resolve(dirname(place), readlinkSync(place)), links + 1)
}

function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
