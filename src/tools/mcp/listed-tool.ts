import type { Tool as ServerTool } from '@modelcontextprotocol/client'
import type { Tool } from '../../protocol/protocol.ts'

/** A tool as the model sees it, and what the server wants to hear in a call. */
export interface ListedTool {
  readonly tool: Tool
  /** Without the schema of results: the library would check results against it, with regular expressions of a stranger. */
  readonly definition: { readonly name: string; readonly inputSchema: ServerTool['inputSchema'] }
}

/** What models can take: more would make every request of the agent fail. */
const nameLimit = 64
const descriptionLimit = 16 * 1024
const schemaLimit = 64 * 1024
const countLimit = 512

/**
 * The tools of a server that can be called. Names are made fit for models; tools that need tasks, that are too large or
 * whose name is taken are left out.
 */
export function listTools(tools: readonly ServerTool[]): ReadonlyMap<string, ListedTool> {
  const listed = new Map<string, ListedTool>()
  for (const tool of tools) {
    const name = tool.name.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, nameLimit)
    if (name === '' || listed.has(name) || listed.size === countLimit || !isCallable(tool)) continue
    listed.set(name, { tool: toTool(tool, name), definition: { name: tool.name, inputSchema: tool.inputSchema } })
  }
  return listed
}

function isCallable(tool: ServerTool): boolean {
  const size = JSON.stringify([tool.inputSchema, tool.outputSchema]).length
  return tool.execution?.taskSupport !== 'required' && size <= schemaLimit
}

function toTool(tool: ServerTool, name: string): Tool {
  const { title, readOnlyHint, destructiveHint, idempotentHint, openWorldHint } = tool.annotations ?? {}
  const shown = tool.title ?? title
  return {
    name,
    category: 'mcp',
    ...(tool.description !== undefined && { description: tool.description.slice(0, descriptionLimit) }),
    parameters: tool.inputSchema,
    annotations: {
      ...(shown !== undefined && { title: shown.slice(0, descriptionLimit) }),
      ...(readOnlyHint !== undefined && { readOnlyHint }),
      ...(destructiveHint !== undefined && { destructiveHint }),
      ...(idempotentHint !== undefined && { idempotentHint }),
      ...(openWorldHint !== undefined && { openWorldHint }),
    },
    outputSchema: tool.outputSchema ?? null,
  }
}
