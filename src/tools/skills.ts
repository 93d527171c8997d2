import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { z } from 'zod'
import { type BuiltInTool, builtInTool, readOnly } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { boundsOf, checkedPath } from './file-access.ts'
import { limited } from './limited.ts'
import { CallFailure, success } from './result.ts'
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

/**
 * The tools that read the skills of all definitions; `undefined` when the agent is to have none. URLs as sources are not
 * supported yet.
 */
export function createSkills(
  definitions: readonly SkillsDefinition[],
  environment: ToolEnvironment,
): Toolset | undefined {
  const wanted = definitions.filter((definition) => definition !== false)
  if (wanted.length === 0) return undefined
  const toolset = new BuiltInToolset(() => {
    const skills = chosen(wanted, environment)
    return skills.length === 0 ? { tools: [] } : { tools: toolsFor(skills), instruction: instructionFor(skills) }
  })
  return limited(toolset, environment)
}

/** Of two with one name, what the author wrote out comes before what is found, and the earlier before the later. */
function chosen(
  definitions: readonly (true | readonly (string | InlineSkill)[])[],
  environment: ToolEnvironment,
): readonly Skill[] {
  const lists = definitions.map((definition) => (definition === true ? ['local'] : definition))
  const inline = lists.flat().filter((item) => typeof item !== 'string')
  const skills = [...inline.map((skill) => ({ ...skill, folder: undefined })), ...foundFor(lists, environment)]
  return [...new Map(skills.toReversed().map((skill) => [skill.name, skill])).values()].toReversed()
}

/** A list that names no skill wants all of its sources, and one that does wants those. */
function foundFor(lists: readonly (readonly unknown[])[], environment: ToolEnvironment): readonly Skill[] {
  const wishes = lists.map((list) => list.filter((item) => typeof item === 'string')).filter(({ length }) => length > 0)
  if (wishes.flat().some((text) => /^https?:\/\//i.test(text)))
    throw new ToolsetFailure('Skills from URLs are not supported yet.')
  if (wishes.length === 0) return []
  const names = wishes.map((texts) => texts.filter((text) => text !== 'local'))
  const isAny = names.some(({ length }) => length === 0)
  return findSkills(environment).filter(({ name }) => isAny || names.flat().includes(name))
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
