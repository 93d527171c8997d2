import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { placeFor } from './place.ts'
import type { ToolEnvironment } from './tools.ts'

const maxBytes = 256 * 1024
const maxDepth = 4

const Head = z.looseObject({ name: z.string().min(1), description: z.string() })

export interface Skill {
  readonly name: string
  readonly description: string
  readonly instructions: string
  /** Where its files are; `undefined` for one that an agent file holds. */
  readonly folder: string | undefined
}

/** The skills of the home directory and of the project; of two with the same name, that nearest to the working directory. */
export function findSkills(environment: ToolEnvironment): readonly Skill[] {
  const { workingDir } = environment
  const project = upwards(workingDir)
    .map((folder) => join(folder, '.agents', 'skills'))
    .reverse()
  const roots = [
    { path: placeFor('~/.codex/skills', environment), depth: maxDepth },
    { path: placeFor('~/.claude/skills', environment), depth: 1 },
    { path: placeFor('~/.agents/skills', environment), depth: maxDepth },
    { path: join(workingDir, '.claude', 'skills'), depth: 1 },
    ...project.map((path) => ({ path, depth: 1 })),
  ]
  const skills = roots.flatMap(({ path, depth }) => skillsIn(path, depth))
  return [...new Map(skills.map((skill) => [skill.name, skill])).values()]
}

/** From the working directory up to the top of its repository; without one, only itself. */
function upwards(start: string): readonly string[] {
  const folders: string[] = []
  for (let folder = start; ; folder = dirname(folder)) {
    folders.push(folder)
    if (existsSync(join(folder, '.git'))) return folders
    if (folder === dirname(folder)) return [start]
  }
}

function skillsIn(root: string, depth: number): readonly Skill[] {
  if (depth === 0) return []
  return foldersIn(root).flatMap((folder) => {
    const skill = readSkill(folder)
    return skill === undefined ? skillsIn(folder, depth - 1) : [skill]
  })
}

function foldersIn(root: string): readonly string[] {
  try {
    const entries = readdirSync(root, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
    return entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink()).map(({ name }) => join(root, name))
  } catch {
    return []
  }
}

/** A folder without a `SKILL.md` that can be read and says what it is for is no skill. */
function readSkill(folder: string): Skill | undefined {
  try {
    const path = join(folder, 'SKILL.md')
    const stats = statSync(path)
    if (!stats.isFile() || stats.size > maxBytes) return undefined
    const [, front = '', instructions = ''] =
      /^\uFEFF?---\r?\n(.*?)\r?\n---\r?\n?(.*)$/s.exec(readFileSync(path, 'utf8')) ?? []
    const { name, description } = Head.parse(parse(front))
    return { name, description, instructions, folder }
  } catch {
    return undefined
  }
}
