import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { type BuiltInTool, builtInTool, readOnly } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { boundsOf, checkedPath } from './file-access.ts'
import { CallFailure, success } from './result.ts'
import { LimitedToolset } from './result-limit.ts'
import { findSkills, type Skill } from './skill-folders.ts'
import { beginningOf, isText, readLines, sizeOfFile } from './text-file.ts'
import type { ToolEnvironment, Toolset } from './tools.ts'
import { ToolsetFailure } from './toolset-failure.ts'

const category = 'skills'
const maxBytes = 256 * 1024
const maxListed = 100

export interface InlineSkill {
  readonly name: string
  readonly description: string
  readonly instructions: string
}

/** What an agent file says about skills: all that are found, none, or a list of sources, names and skills. */
export type SkillsDefinition = boolean | readonly (string | InlineSkill)[]

/** The tools that read skills; `undefined` when the agent is to have none. URLs as sources are not supported yet. */
export function createSkills(
  definition: SkillsDefinition | undefined,
  environment: ToolEnvironment,
): Toolset | undefined {
  if (definition === undefined || definition === false) return undefined
  const toolset = new BuiltInToolset(() => {
    const skills = chosen(definition, environment)
    return skills.length === 0 ? { tools: [] } : { tools: toolsFor(skills), instruction: instructionFor(skills) }
  })
  return new LimitedToolset(toolset)
}

function chosen(definition: true | readonly (string | InlineSkill)[], environment: ToolEnvironment): readonly Skill[] {
  if (definition === true) return findSkills(environment)
  const texts = definition.filter((item) => typeof item === 'string')
  const inline = definition.filter((item) => typeof item !== 'string').map((skill) => ({ ...skill, folder: undefined }))
  if (texts.some((text) => /^https?:\/\//.test(text)))
    throw new ToolsetFailure('Skills from URLs are not supported yet.')
  const names = texts.filter((text) => text !== 'local')
  const found = texts.length === 0 ? [] : findSkills(environment)
  const wanted = names.length === 0 ? found : found.filter(({ name }) => names.includes(name))
  return [...wanted.filter(({ name }) => !inline.some((skill) => skill.name === name)), ...inline]
}

function instructionFor(skills: readonly Skill[]): string {
  const list = skills.map(({ name, description }) => `- ${name}: ${description.replace(/\s+/g, ' ').trim()}`)
  return `## Skills

When a request matches one of these skills, read it with read_skill before you begin, and do as it says.

${list.join('\n')}`
}

function toolsFor(skills: readonly Skill[]): readonly BuiltInTool[] {
  const named = (name: string): Skill => {
    const skill = skills.find((skill) => skill.name === name)
    if (skill === undefined) throw new CallFailure(`There is no skill named ${name}.`)
    return skill
  }
  return [
    builtInTool({
      name: 'read_skill',
      category,
      description: 'Reads the instructions of a skill.',
      args: z.strictObject({ name: z.string().describe('The skill') }),
      annotations: readOnly('Read a skill'),
      run: ({ name }) => {
        const { instructions, folder } = named(name)
        return success(`${instructions.trim()}${folder === undefined ? '' : filesOf(folder)}`)
      },
    }),
    builtInTool({
      name: 'read_skill_file',
      category,
      description: 'Reads a file that belongs to a skill.',
      args: z.strictObject({
        skill_name: z.string().describe('The skill'),
        path: z.string().describe("The file, from the skill's folder on"),
      }),
      annotations: readOnly("Read a skill's file"),
      run: ({ skill_name: name, path }, { signal }) => readFileOf(named(name), path, signal),
    }),
  ]
}

async function readFileOf({ name, folder }: Skill, path: string, signal: AbortSignal) {
  if (folder === undefined) throw new CallFailure(`The skill ${name} has no files.`)
  const place = checkedPath(join(folder, path), boundsOf([folder], []))
  const size = await sizeOfFile(place)
  if (!isText(await beginningOf(place, 8192))) throw new CallFailure(`${path} is a binary file of ${size} bytes.`)
  const { text, next } = await readLines(place, { line: 1, maxLines: Number.POSITIVE_INFINITY, maxBytes }, signal)
  return success(next === undefined ? text : `${text}\n\n[The file goes on; these are its first ${maxBytes} bytes]`)
}

function filesOf(folder: string): string {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const names = entries
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)))
    .filter((name) => name !== 'SKILL.md')
  if (names.length === 0) return ''
  return `\n\nFiles in ${folder}, for read_skill_file:\n${names.sort().slice(0, maxListed).join('\n')}`
}
