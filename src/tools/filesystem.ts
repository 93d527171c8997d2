import { BuiltInToolset } from './built-in-toolset.ts'
import { listingTools } from './file-listing.ts'
import { readingTools } from './file-reading.ts'
import { searchTools } from './file-search.ts'
import { writingTools } from './file-writing.ts'
import { Files } from './files.ts'
import type { ToolEnvironment, Toolset } from './tools.ts'
import type { ToolsetDefinition } from './toolset-definition.ts'

const instruction = `## Files

- Relative paths start at the working directory. Absolute paths, ".." and "~" are understood, too.
- Find code and text with search_files_content before you read; leave out what is generated with excludePatterns.
- Read several files at once with read_multiple_files, and long ones in parts with line and limit.
- Change files with edit_file. Write whole ones only when they are new or little of them stays.`

/** Reads, finds and changes files. */
export function filesystem(definition: ToolsetDefinition, environment: ToolEnvironment): Toolset {
  const files = new Files(definition, environment)
  const tools = [...readingTools(files), ...listingTools(files), ...searchTools(files), ...writingTools(files)]
  return new BuiltInToolset(() => ({ tools, instruction }))
}
