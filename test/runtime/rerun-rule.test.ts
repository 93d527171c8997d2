import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAgentFile } from '../../src/agent-file/agent-file.ts'
import type { Tool } from '../../src/protocol/protocol.ts'
import { backgroundToolset } from '../../src/runtime/background-toolset.ts'
import { handoffToolset } from '../../src/runtime/handoff-toolset.ts'
import { type OwnToolset, RunToolbox } from '../../src/runtime/run-toolbox.ts'
import { Toolbox } from '../../src/runtime/toolbox.ts'
import { type Delegating, transferToolset } from '../../src/runtime/transfer-toolset.ts'
import {
  createSkills,
  createTeamState,
  createToolset,
  DecoratedToolset,
  type RerunRule,
  rerunRule,
  supportedToolsets,
  type ToolEnvironment,
  type Toolset,
  type ToolsetDefinition,
} from '../../src/tools/tools.ts'
import { type Row, readProtocol } from '../protocol/document.ts'
import { world } from '../tools/world.ts'

const forbidden = () => {
  throw new Error('nobody calls a tool here')
}
const delegating: Delegating = { agents: [], lineage: [], work: forbidden, open: forbidden }

/** Toolsets whose tools are this program's own. Those of the others have the names that an author gave them. */
const definitions: readonly ToolsetDefinition[] = [
  ...['fetch', 'filesystem', 'memory', 'shell', 'think', 'todo', 'user_prompt'].map((type) => ({ type })),
  { type: 'api', api_config: { name: 'look', endpoint: 'https://example.com', method: 'GET' } },
  { type: 'script', shell: { look: { cmd: 'ls' } } },
]
const withNamesOfOthers: Readonly<Record<string, string>> = {
  api: 'every tool, also with GET',
  mcp: 'every other tool',
  openapi: 'every tool, also with GET',
  script: 'every tool',
}

function toolsets(environment: ToolEnvironment): readonly Toolset[] {
  const made = definitions.flatMap((definition) => createToolset(definition, environment) ?? [])
  const skill = { name: 'sail', description: 'Sails', instructions: 'Hoist the sails.' }
  const skills = createSkills([[skill]], environment) ?? forbidden()
  const own = [transferToolset(delegating), handoffToolset([], forbidden), backgroundToolset(delegating, false)]
  return [...made, skills, ...own]
}

async function start(toolset: Toolset): Promise<void> {
  onTestFinished(() => toolset.close())
  await toolset.start(new AbortController().signal)
}

async function builtInTools(): Promise<readonly Tool[]> {
  const all = toolsets(world().environment)
  await Promise.all(all.map(start))
  return all.flatMap(({ tools }) => tools)
}

function foreign(category: string, annotations: Tool['annotations'], name = 'thing'): Tool {
  return { name, category, parameters: {}, annotations, outputSchema: null }
}

function namesIn(row: Row, rule: 'safe' | 'never'): readonly string[] {
  return (row[rule] ?? '').split(', ').filter((name) => name !== '')
}

describe('The table of what a restart does to a tool call', () => {
  const rows = readProtocol().find(({ kind }) => kind === 'rerun')?.rows ?? []

  test('lists every built-in tool with its rule, and no other', async () => {
    const tools = (await builtInTools()).filter(({ category }) => !(category in withNamesOfOthers))
    const listed = rows
      .filter(({ Category = '' }) => !(Category in withNamesOfOthers))
      .flatMap((row) =>
        (['safe', 'never'] as const).flatMap((rule) =>
          namesIn(row, rule).map((name) => `${row.Category} ${name}: ${rule}`),
        ),
      )
    const actual = tools.map((tool) => `${tool.category} ${tool.name}: ${rerunRule(tool)}`)
    expect(listed.toSorted()).toEqual(actual.toSorted())
  })

  test('says which tools with names of others are not run again, whatever they say of themselves', async () => {
    const open = rows.filter(({ Category = '' }) => Category in withNamesOfOthers)
    expect(Object.fromEntries(open.map(({ Category, never }) => [Category, never]))).toEqual(withNamesOfOthers)
    const made = (await builtInTools()).filter(({ category }) => category in withNamesOfOthers)
    expect(made.map((tool) => `${tool.category}: ${rerunRule(tool)}`)).toEqual(['api: never', 'script: never'])
    for (const category of ['api', 'openapi', 'script'])
      expect(rerunRule(foreign(category, { readOnlyHint: true, idempotentHint: true }))).toBe('never')
  })

  test('has a row for every type of toolset that is supported', async () => {
    const types = [...supportedToolsets, 'handoff', 'skills', 'transfer']
    expect(rows.map(({ Category }) => Category)).toEqual(types.toSorted())
  })
})

describe('The rule of an MCP tool', () => {
  test.each<[Tool['annotations'], RerunRule, RerunRule]>([
    [{}, 'never', 'never'],
    [{ readOnlyHint: true }, 'never', 'safe'],
    [{ idempotentHint: true }, 'safe', 'safe'],
    [{ readOnlyHint: false, idempotentHint: false }, 'never', 'never'],
  ])('for %j is %s, and %s from a server that is trusted', (annotations, plain, trusted) => {
    const tool = foreign('mcp', annotations, 'read_file')
    expect(rerunRule(tool)).toBe(plain)
    expect(rerunRule(tool, { trust_annotations: true })).toBe(trusted)
  })
})

describe('The rule that an agent file chooses', () => {
  function boxOf(toolset: string, own: readonly OwnToolset[] = []) {
    const file = parseAgentFile(`agents: {root: {model: auto, toolsets: [${toolset}]}}`, { origin: 'it.yaml' })
    const [agent] = file.agents
    if (agent === undefined) throw new Error('there is no agent')
    const toolbox = new Toolbox(file, agent, world().environment, createTeamState())
    onTestFinished(() => toolbox.close())
    return { toolbox, tools: new RunToolbox(toolbox, own, agent) }
  }

  async function rulesOf(
    toolset: string,
    own: readonly OwnToolset[] = [],
  ): Promise<Readonly<Record<string, RerunRule>>> {
    const { toolbox, tools } = boxOf(toolset, own)
    await toolbox.start(new AbortController().signal)
    return Object.fromEntries(tools.tools.map(({ name }) => [name, tools.rerunRule(name)]))
  }

  test('is the same for all tools of a toolset', async () => {
    const rules = await rulesOf('{type: filesystem, rerun: ask}')
    expect(new Set(Object.values(rules))).toEqual(new Set(['ask']))
  })

  test('is one for each tool, by its own name or by that which the model sees, and `*` for the others', async () => {
    const toolset = '{type: memory, name: log, rerun: {log_add_memory: ask, get_memories: never, "*": safe}}'
    expect(await rulesOf(toolset)).toEqual({
      log_add_memory: 'ask',
      log_get_memories: 'never',
      log_search_memories: 'safe',
      log_update_memory: 'safe',
      log_delete_memory: 'safe',
    })
  })

  test('leaves other tools as they are, also behind a prefix', async () => {
    expect(await rulesOf('{type: todo, name: my, rerun: {update_todos: safe}}')).toEqual({
      my_create_todo: 'never',
      my_create_todos: 'never',
      my_update_todos: 'safe',
      my_list_todos: 'safe',
    })
  })

  test('is not found in what every object has', async () => {
    const rules = await rulesOf('{type: script, shell: {constructor: {cmd: ls}}, rerun: {other: safe}}')
    expect(rules).toEqual({ constructor: 'never' })
  })

  test('counts for tools that the runtime carries out itself', async () => {
    const rerun = { name: 'bg', rerun: { run_background_agent: 'ask' } } as const
    const own: OwnToolset = { toolset: new DecoratedToolset(backgroundToolset(delegating, false), rerun), rerun }
    await start(own.toolset)
    expect(await rulesOf('{type: think, rerun: never}', [own])).toEqual({
      bg_run_background_agent: 'ask',
      bg_list_background_agents: 'safe',
      bg_view_background_agent: 'safe',
      bg_stop_background_agent: 'never',
      bg_wait_background_agents: 'safe',
      think: 'never',
    })
  })

  test('is never for a tool that is not there', () => {
    expect(boxOf('{type: think}').tools.rerunRule('think')).toBe('never')
  })
})
