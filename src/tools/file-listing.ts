import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { type BuiltInTool, builtInTool, readOnly } from './built-in-tool.ts'
import { type Bounds, isWithin } from './file-access.ts'
import type { Files } from './files.ts'
import { json, success } from './result.ts'
import { VcsIgnore } from './vcs-ignore.ts'

const category = 'filesystem'
const maxEntries = 1000
const maxDepth = 30

export function listingTools(files: Files): readonly BuiltInTool[] {
  return [
    builtInTool({
      name: 'list_directory',
      category,
      description: 'Lists the files and directories in a directory.',
      args: z.strictObject({ path: z.string().describe('The directory') }),
      annotations: readOnly('List a directory'),
      run: ({ path }) => list(files, files.at(path)),
    }),
    builtInTool({
      name: 'directory_tree',
      category,
      description: `Shows a directory and what is below it as JSON, at most ${maxEntries} entries of it.`,
      args: z.strictObject({ path: z.string().describe('The directory') }),
      annotations: readOnly('Show a directory tree'),
      run: async ({ path }, { signal }) => json(await tree(files, files.at(path), signal)),
    }),
  ]
}

/** Sees a directory as the toolset's settings want it seen. */
class Lister {
  readonly #ignore: VcsIgnore | undefined
  readonly #bounds: Bounds

  constructor(files: Files, root: string) {
    this.#ignore = files.ignoreVcs ? new VcsIgnore(root) : undefined
    this.#bounds = files.bounds
  }

  async entries(directory: string): Promise<{ readonly shown: readonly Dirent[]; readonly hidden: number }> {
    const all = await readdir(directory, { withFileTypes: true })
    const shown = all.filter((entry) => this.#shows(join(directory, entry.name), entry))
    return { shown: shown.sort((a, b) => (a.name < b.name ? -1 : 1)), hidden: all.length - shown.length }
  }

  #shows(path: string, entry: Dirent): boolean {
    return isWithin(path, this.#bounds) && this.#ignore?.ignores(path, entry.isDirectory()) !== true
  }
}

async function list(files: Files, directory: string): Promise<ToolCallResult> {
  const { shown, hidden } = await new Lister(files, directory).entries(directory)
  const lines = shown.slice(0, maxEntries).map((entry) => `${kindOf(entry).toUpperCase()} ${entry.name}`)
  if (shown.length > maxEntries) lines.push(`[and ${shown.length - maxEntries} more]`)
  if (shown.length > 0) return success(lines.join('\n'))
  return success(hidden === 0 ? `${directory} is empty.` : `${directory} shows nothing: ${hidden} entries are ignored.`)
}

interface Node {
  readonly name: string
  readonly type: 'directory' | 'file' | 'link'
  children?: Node[]
  /** Not all children are there. */
  truncated?: true
}

/** Goes level by level, so that a large directory does not hide the others. */
async function tree(files: Files, root: string, signal: AbortSignal): Promise<Node> {
  const lister = new Lister(files, root)
  const top: Node = { name: basename(root) || root, type: 'directory' }
  let room = maxEntries
  let level = [{ node: top, path: root }]
  for (let depth = 0; level.length > 0 && depth < maxDepth; depth++) {
    const next: typeof level = []
    for (const { node, path } of level) {
      signal.throwIfAborted()
      const shown = await shownIn(lister, path, path === root)
      node.children = shown.slice(0, room).map((entry) => ({ name: entry.name, type: kindOf(entry) }))
      if (shown.length > room) node.truncated = true
      room -= node.children.length
      for (const child of node.children)
        if (child.type === 'directory') next.push({ node: child, path: join(path, child.name) })
    }
    level = next
  }
  for (const { node } of level) node.truncated = true
  return top
}

/** Below the root there may be directories that this process cannot read; they are shown without children. */
async function shownIn(lister: Lister, path: string, isRoot: boolean): Promise<readonly Dirent[]> {
  try {
    return (await lister.entries(path)).shown
  } catch (error) {
    if (isRoot) throw error
    return []
  }
}

function kindOf(entry: Dirent): Node['type'] {
  if (entry.isDirectory()) return 'directory'
  return entry.isSymbolicLink() ? 'link' : 'file'
}
