import { type Dirent, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import ignore from 'ignore'
import { type Bounds, isWithin } from './file-access.ts'
import { VcsIgnore } from './vcs-ignore.ts'

const maxFileBytes = 10 * 1024 * 1024
const maxLineChars = 500
const sniffedBytes = 8192

/** What to look for, and where. Paths are real. */
export interface Search {
  readonly root: string
  readonly query: string
  readonly isRegex: boolean
  readonly exclude: readonly string[]
  readonly ignoreVcs: boolean
  readonly bounds: Bounds
  readonly maxMatches: number
}

export interface Match {
  readonly path: string
  /** From 1. */
  readonly line: number
  readonly text: string
}

/** Looks through files, one after the other; yields the matches of each that has some. Blocks its thread. */
export function* searchText(search: Search): Generator<readonly Match[], void, undefined> {
  const matches = matcherFor(search)
  let room = search.maxMatches
  for (const path of filesOf(search)) {
    const found = matchesIn(path, matches, room)
    if (found.length > 0) yield found
    room -= found.length
    if (room <= 0) return
  }
}

/** The expression that a query stands for; flags may stand before it, as in `(?i)word`. Throws when it is none. */
export function expressionOf(query: string): RegExp {
  const [all, flags = ''] = /^\(\?([ims]+)\)/.exec(query) ?? ['']
  return new RegExp(query.slice(all.length), flags)
}

function matcherFor({ query, isRegex }: Search): (line: string) => boolean {
  if (!isRegex) return (line) => line.includes(query)
  const expression = expressionOf(query)
  return (line) => expression.test(line)
}

function* filesOf({ root, exclude, ignoreVcs, bounds }: Search): Generator<string, void, undefined> {
  if (statSync(root).isFile()) return yield root
  const excluded = ignore().add([...exclude])
  const vcs = ignoreVcs ? new VcsIgnore(root) : undefined
  const isHidden = (path: string, isDirectory: boolean): boolean => {
    const name = relative(root, path).split(sep).join('/') + (isDirectory ? '/' : '')
    return excluded.ignores(name) || vcs?.ignores(path, isDirectory) === true || !isWithin(path, bounds)
  }
  const folders = [root]
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of entriesOf(folder)) {
      const path = join(folder, entry.name)
      if (isHidden(path, entry.isDirectory())) continue
      if (entry.isDirectory()) folders.push(path)
      // Links are not followed: they may lead out, or around.
      else if (entry.isFile()) yield path
    }
  }
}

function entriesOf(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

function matchesIn(path: string, matches: (line: string) => boolean, room: number): readonly Match[] {
  const found: Match[] = []
  let line = 0
  for (const text of linesOf(path)) {
    line++
    if (!matches(text)) continue
    found.push({ path, line, text: text.length > maxLineChars ? `${text.slice(0, maxLineChars)}…` : text })
    if (found.length >= room) break
  }
  return found
}

/** The lines of a text; none for files that cannot be read, are no text, or are too large. */
function linesOf(path: string): readonly string[] {
  try {
    if (statSync(path).size > maxFileBytes) return []
    const bytes = readFileSync(path)
    return bytes.subarray(0, sniffedBytes).includes(0) ? [] : bytes.toString('utf8').split(/\r?\n/)
  } catch {
    return []
  }
}
