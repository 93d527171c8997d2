import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import ignore, { type Ignore } from 'ignore'

/** What Git does not look at: its own directory, and what the `.gitignore` files of the repository name. */
export class VcsIgnore {
  readonly #root: string
  readonly #rules = new Map<string, Ignore | undefined>()

  /** For paths below a directory; without a repository around it, its own `.gitignore` files count. */
  constructor(directory: string) {
    this.#root = repositoryOf(directory) ?? directory
  }

  ignores(path: string, isDirectory: boolean): boolean {
    if (path.endsWith(`${sep}.git`)) return true
    let ignored = false
    for (const folder of foldersBetween(this.#root, path)) {
      const name = relative(folder, path).split(sep).join('/') + (isDirectory ? '/' : '')
      const verdict = this.#rulesOf(folder)?.test(name)
      if (verdict?.ignored) ignored = true
      if (verdict?.unignored) ignored = false
    }
    return ignored
  }

  #rulesOf(folder: string): Ignore | undefined {
    if (!this.#rules.has(folder)) this.#rules.set(folder, rulesIn(folder))
    return this.#rules.get(folder)
  }
}

function repositoryOf(directory: string): string | undefined {
  if (existsSync(join(directory, '.git'))) return directory
  const parent = dirname(directory)
  return parent === directory ? undefined : repositoryOf(parent)
}

/** From the outermost to the one that holds the path. */
function foldersBetween(root: string, path: string): readonly string[] {
  const folder = dirname(path)
  if (folder === root || folder === dirname(folder)) return [folder]
  return [...foldersBetween(root, folder), folder]
}

function rulesIn(folder: string): Ignore | undefined {
  try {
    const lines = readFileSync(join(folder, '.gitignore'), 'utf8').split(/\r?\n/)
    return ignore().add(lines.filter(isQuick))
  } catch {
    return undefined
  }
}

/**
 * What is tried multiplies with each star in a name, and with each `**` between directories: rules of a hostile repository
 * would stop the process. Others are passed over, and hide nothing.
 */
function isQuick(rule: string): boolean {
  const stars = rule.split('/').map((name) => name.split(/\*+/).length - 1)
  return Math.max(...stars) <= 4 && rule.split('/**/').length <= 2 + Number(rule.startsWith('/**/'))
}
