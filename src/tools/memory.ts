import { join } from 'node:path'
import { z } from 'zod'
import { type BuiltInTool, builtInTool, readOnly } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { MemoryFile } from './memory-file.ts'
import { placeFor } from './place.ts'
import { CallFailure, json, success } from './result.ts'

import type { ToolEnvironment, Toolset } from './tools.ts'
import type { ToolsetDefinition } from './toolset-definition.ts'
import { ToolsetFailure } from './toolset-failure.ts'
import { expandShellVariables } from './variables.ts'

const category = 'memory'

const instruction = `## Memory

- Memories outlive the conversation. Look for those that bear on a request before you answer it.
- Keep what will matter again, such as preferences, facts and decisions, one to a memory. Do not talk about doing so.
- Correct what is no longer true instead of adding beside it. Search instead of reading all.`

const Id = z.string().describe('The id of the memory')
const Text = z.string().min(1).describe('What to remember')
const Category = z.string().optional().describe('A word to find it by, such as preference, fact, project or decision')

/** Memories in a file that outlives sessions: `memory.db` in the data directory, where a relative `path` starts, too. */
export function memory({ path }: ToolsetDefinition, environment: ToolEnvironment): Toolset {
  const { dataDir, variables } = environment
  const file = path
    ? placeFor(expandShellVariables(path, variables), { workingDir: dataDir, variables })
    : join(dataDir, 'memory.db')
  return new BuiltInToolset(() => {
    const memories = open(file)
    return { tools: [...writingTools(memories), ...readingTools(memories)], instruction, close: () => memories.close() }
  })
}

function open(file: string): MemoryFile {
  try {
    return new MemoryFile(file)
  } catch (error) {
    throw new ToolsetFailure(`The memories in ${file} cannot be opened.`, error)
  }
}

function readingTools(memories: MemoryFile): readonly BuiltInTool[] {
  return [
    builtInTool({
      name: 'get_memories',
      category,
      description: 'Returns all memories.',
      args: z.strictObject({}),
      annotations: readOnly('Get memories'),
      run: () => json(memories.all()),
    }),
    builtInTool({
      name: 'search_memories',
      category,
      description: 'Finds memories by words, all of which they must hold, and by category.',
      args: z.strictObject({
        query: z.string().optional().describe('Words to look for'),
        category: z.string().optional().describe('The category they must have'),
      }),
      annotations: readOnly('Search memories'),
      run: ({ query = '', category }) => json(memories.search(query.split(/\s+/).filter(Boolean), category)),
    }),
  ]
}

function writingTools(memories: MemoryFile): readonly BuiltInTool[] {
  return [
    builtInTool({
      name: 'add_memory',
      category,
      description: 'Remembers something.',
      args: z.strictObject({ memory: Text, category: Category }),
      annotations: { title: 'Add a memory' },
      run: ({ memory, category }) => success(`Remembered under the id ${memories.add(memory, category).id}`),
    }),
    builtInTool({
      name: 'update_memory',
      category,
      description: 'Replaces the text of a memory, and its category if one is given.',
      args: z.strictObject({ id: Id, memory: Text, category: Category }),
      annotations: { title: 'Update a memory', idempotentHint: true },
      run: ({ id, memory, category }) => done(memories.update(id, memory, category), id, 'updated'),
    }),
    builtInTool({
      name: 'delete_memory',
      category,
      description: 'Forgets a memory.',
      args: z.strictObject({ id: Id }),
      annotations: { title: 'Delete a memory', destructiveHint: true, idempotentHint: true },
      run: ({ id }) => done(memories.delete(id), id, 'deleted'),
    }),
  ]
}

function done(found: boolean, id: string, what: string) {
  if (!found) throw new CallFailure(`There is no memory with the id ${id}.`)
  return success(`The memory ${id} was ${what}`)
}
