import { z } from 'zod'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { type BuiltInTool, builtInTool, readOnly } from './built-in-tool.ts'
import type { Files } from './files.ts'
import { CallFailure, success } from './result.ts'
import { expressionOf, type Search } from './search-text.ts'
import { runWorker } from './worker.ts'

const maxMatches = 500
const searchMs = 30_000

const Matches = z.array(z.object({ path: z.string(), line: z.number(), text: z.string() }))

export function searchTools(files: Files): readonly BuiltInTool[] {
  return [
    builtInTool({
      name: 'search_files_content',
      category: 'filesystem',
      description: 'Finds the lines of text files, in a directory and below, that hold a text or match an expression.',
      args: z.strictObject({
        path: z.string().describe('Where to begin: a directory or a file'),
        query: z.string().min(1).describe('What to look for'),
        is_regex: z.boolean().optional().describe('Whether the query is a regular expression'),
        excludePatterns: z
          .array(z.string())
          .optional()
          .describe('Files and directories to leave out, as in .gitignore'),
      }),
      annotations: readOnly('Search files'),
      run: ({ path, query, is_regex: isRegex = false, excludePatterns: exclude = [] }, { signal }) => {
        if (isRegex) checkExpression(query)
        const { ignoreVcs, bounds } = files
        return found(files, { root: files.at(path), query, isRegex, exclude, ignoreVcs, bounds, maxMatches }, signal)
      },
    }),
  ]
}

function checkExpression(query: string): void {
  try {
    expressionOf(query)
  } catch (error) {
    throw new CallFailure(`The query is not a regular expression: ${error instanceof Error ? error.message : error}`)
  }
}

async function found(files: Files, search: Search, signal: AbortSignal): Promise<ToolCallResult> {
  const lines: string[] = []
  const hear = (message: unknown) => {
    for (const { path, line, text } of Matches.parse(message)) lines.push(`${files.nameOf(path)}:${line}: ${text}`)
  }
  const end = await runWorker({ name: 'search-worker', input: search, timeoutMs: searchMs, signal, hear })
  if (end === 'late') lines.push(`[The search was stopped after ${searchMs / 1000} s; narrow it down to see the rest]`)
  else if (lines.length >= maxMatches)
    lines.push(`[Only the first ${maxMatches} matches are shown; narrow the search down]`)
  return success(lines.length === 0 ? 'Nothing was found.' : lines.join('\n'))
}
