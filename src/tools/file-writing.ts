import { readFile, rmdir } from 'node:fs/promises'
import { basename, matchesGlob, relative } from 'node:path'
import { z } from 'zod'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { alone, writeAtomically } from './atomic-write.ts'
import { type BuiltInTool, builtInTool } from './built-in-tool.ts'
import { runCommand } from './command.ts'
import { edited } from './edit.ts'
import type { Files } from './files.ts'
import { makeFolders } from './folders.ts'
import { CallFailure, failure, resultOf, success } from './result.ts'
import { isText, sizeOfFile } from './text-file.ts'

const category = 'filesystem'
const maxEditBytes = 10 * 1024 * 1024
const postEditMs = 60_000

const Edit = z.strictObject({
  oldText: z.string().describe('The text to replace, exactly as it is in the file, where it must be once'),
  newText: z.string().describe('What to put in its place'),
})
const Paths = z.array(z.string()).min(1).describe('The directories')

export function writingTools(files: Files): readonly BuiltInTool[] {
  return [
    builtInTool({
      name: 'write_file',
      category,
      description: 'Writes a file, new or over an old one. Directories that are missing are created.',
      args: z.strictObject({ path: z.string().describe('The file'), content: z.string().describe('All of its text') }),
      annotations: { title: 'Write a file', destructiveHint: true, idempotentHint: true },
      run: async ({ path, content }, { signal }) => {
        const place = files.at(path)
        await alone(place, () => writeAtomically(place, content, signal))
        const told = `${path} was written (${Buffer.byteLength(content)} bytes).`
        return success(told + (await afterEdit(files, place, signal)))
      },
    }),
    builtInTool({
      name: 'edit_file',
      category,
      description: 'Replaces texts in a file. All edits are made, in their order, or none.',
      args: z.strictObject({
        path: z.string().describe('The file'),
        edits: z.array(Edit).min(1).describe('The edits'),
      }),
      annotations: { title: 'Edit a file', destructiveHint: true },
      run: async ({ path, edits }, { signal }) => {
        const place = files.at(path)
        await alone(place, async () => writeAtomically(place, edited(await editable(place, signal), edits), signal))
        return success(`${path} was changed (${edits.length} edits).${await afterEdit(files, place, signal)}`)
      },
    }),
    builtInTool({
      name: 'create_directory',
      category,
      description: 'Creates directories, with those above them. One that is there already is left as it is.',
      args: z.strictObject({ paths: Paths }),
      annotations: { title: 'Create directories', destructiveHint: false, idempotentHint: true },
      run: ({ paths }) => forEach(paths, 'is there', (path) => makeFolders(files.at(path))),
    }),
    builtInTool({
      name: 'remove_directory',
      category,
      description: 'Removes directories that are empty.',
      args: z.strictObject({ paths: Paths }),
      annotations: { title: 'Remove empty directories', destructiveHint: true },
      run: ({ paths }) => forEach(paths, 'was removed', (path) => rmdir(files.at(path))),
    }),
  ]
}

async function editable(path: string, signal: AbortSignal): Promise<string> {
  const size = await sizeOfFile(path)
  if (size > maxEditBytes) throw new CallFailure(`${path} is too large to be edited: ${size} bytes.`)
  const bytes = await readFile(path, { signal })
  if (!isText(bytes)) throw new CallFailure(`${path} is a binary file.`)
  return bytes.toString('utf8')
}

/** Tells for each path what became of it. */
async function forEach(
  paths: readonly string[],
  done: string,
  work: (path: string) => unknown,
): Promise<ToolCallResult> {
  const told: string[] = []
  let failed = false
  for (const path of paths) {
    try {
      await work(path)
      told.push(`${path} ${done}`)
    } catch (error) {
      const result = resultOf(error)
      if (result === undefined) throw error
      failed = true
      told.push(`Error: ${result.output}`)
    }
  }
  return (failed ? failure : success)(told.join('\n'))
}

/** Runs the commands for files that were changed. One that fails is told and undoes nothing. */
async function afterEdit(files: Files, path: string, signal: AbortSignal): Promise<string> {
  const { workingDir, variables } = files.environment
  const rules = files.postEdit.filter((rule) => {
    return [path, relative(workingDir, path), basename(path)].some((name) => matchesGlob(name, rule.path))
  })
  let told = ''
  for (const { cmd } of rules) {
    // The shell itself puts the path in: whatever its name holds stays one name.
    const env = { ...variables, file: path, path }
    const { output, exitCode } = await runCommand({ line: cmd, cwd: workingDir, env, timeoutMs: postEditMs, signal })
    if (exitCode !== 0) told += `\nWarning: \`${cmd}\` failed after the change:\n${output.trim()}`
  }
  return told
}
