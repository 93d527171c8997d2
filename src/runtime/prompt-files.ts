import { open, readdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import type { Agent } from '../agent-file/agent-file.ts'
import type { ToolEnvironment } from '../tools/tools.ts'

/** Of one file. */
const maxBytes = 64 * 1024
const maxListed = 100
/** Folders that are looked into for files to list. */
const maxFolders = 2000

/**
 * The files that an agent wants in its prompt, as they are now: of each name the nearest on the way up from the working
 * directory, and that of the home directory; then, as paths only, those of the same names up to `add_prompt_files_depth`
 * levels below. What is missing, no text or no regular file is left out; a long file is cut. Names are the author's and may
 * lead anywhere.
 */
export async function promptFiles(agent: Agent, environment: ToolEnvironment): Promise<readonly string[]> {
  const { add_prompt_files: names = [], add_prompt_files_depth: depth = 0 } = agent
  const home = environment.variables.HOME ?? homedir()
  const places = await Promise.all(names.map((name) => placesOf(name, environment.workingDir, home)))
  const paths = [...new Set(places.flat())]
  const texts = await Promise.all(paths.map(told))
  const wanted = new Set(names.filter((name) => name !== '' && basename(name) === name))
  const below = depth === 0 || wanted.size === 0 ? [] : await filesBelow(environment.workingDir, wanted, depth)
  return [...texts.filter((text) => text !== undefined), ...listed(below)]
}

async function placesOf(name: string, workingDir: string, home: string): Promise<readonly string[]> {
  const path = name.replace(/^~(?=\/|$)/, home)
  if (isAbsolute(path)) return [path]
  const candidates = foldersUp(workingDir).map((folder) => resolve(folder, path))
  const exist = await Promise.all(candidates.map(isFile))
  return [...candidates.filter((_, index) => exist[index]).slice(0, 1), resolve(home, path)]
}

function foldersUp(folder: string): readonly string[] {
  const parent = dirname(folder)
  return parent === folder ? [folder] : [folder, ...foldersUp(parent)]
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  )
}

async function told(path: string): Promise<string | undefined> {
  const bytes = (await isFile(path)) ? await beginningOf(path).catch(() => undefined) : undefined
  if (bytes === undefined || bytes.length === 0 || bytes.includes(0)) return undefined
  const text = new TextDecoder().decode(bytes.subarray(0, maxBytes))
  const note = bytes.length > maxBytes ? `\n[The file goes on; these are its first ${maxBytes} bytes]` : ''
  return `The file ${path} says:\n\n${text.trim()}${note}`
}

async function beginningOf(path: string): Promise<Buffer> {
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Level by level, so that the nearest are found first. Links, hidden folders and packages are not looked into. */
async function filesBelow(top: string, names: ReadonlySet<string>, depth: number): Promise<readonly string[]> {
  const found: string[] = []
  let folders = await foldersIn(top)
  let looked = 0
  for (let level = 0; level < depth && folders.length > 0 && found.length <= maxListed; level++) {
    const next: string[] = []
    for (const folder of folders.slice(0, maxFolders - looked)) {
      for (const name of names) if (await isFile(join(folder, name))) found.push(join(folder, name))
      if (level + 1 < depth) next.push(...(await foldersIn(folder)))
    }
    looked += folders.length
    folders = looked < maxFolders ? next : []
  }
  return found
}

async function foldersIn(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const visible = names.filter((name) => !name.startsWith('.') && name !== 'node_modules')
  return visible.sort().map((name) => join(folder, name))
}

function listed(paths: readonly string[]): readonly string[] {
  if (paths.length === 0) return []
  const more = paths.length > maxListed ? ['- … and more'] : []
  const lines = [...paths.slice(0, maxListed).map((path) => `- ${path}`), ...more]
  return [`There are more such files. Read the one of a folder before you work in it:\n${lines.join('\n')}`]
}
