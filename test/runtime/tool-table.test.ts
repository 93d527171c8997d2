import { expect, it } from 'vitest'
import { z } from 'zod'
import { carryOut, session, user } from './run-context.ts'
import { toolBench } from './tool-bench.ts'

/** Category, tool, whether it only reads, and arguments: `?` may be left out, `[]` is a list. */
const table = `
shell       shell                      cmd cwd? timeout?
filesystem  read_file              R   path line? limit?
filesystem  read_multiple_files    R   paths[] json?
filesystem  list_directory         R   path
filesystem  directory_tree         R   path
filesystem  search_files_content   R   path query is_regex? excludePatterns[]?
filesystem  write_file                 path content
filesystem  edit_file                  path edits[]{oldText newText}
filesystem  create_directory           paths[]
filesystem  remove_directory           paths[]
fetch       fetch                      urls[] format timeout?
think       think                  R   thought
todo        create_todo            R   description
todo        create_todos           R   descriptions[]
todo        update_todos           R   updates[]{id status}
todo        list_todos             R
memory      add_memory                 memory category?
memory      update_memory              id memory category?
memory      delete_memory              id
memory      get_memories           R
memory      search_memories        R   query? category?
user_prompt user_prompt            R   message title? schema?
transfer    transfer_task          R   agent task expected_output
handoff     handoff                R   agent
transfer    run_background_agent       agent task expected_output?
transfer    list_background_agents R
transfer    view_background_agent  R   task_id
transfer    stop_background_agent      task_id
transfer    wait_background_agents R   task_ids[] timeout?
skills      read_skill             R   name
skills      read_skill_file        R   skill_name path
`
const rows = table
  .trim()
  .split('\n')
  .map((row) => row.split(/\s+/).join(' ').trim())

type Schema = z.infer<typeof Schema>
const Schema = z.looseObject({
  type: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  items: z.unknown().optional(),
  additionalProperties: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
  minItems: z.number().optional(),
  maxItems: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
})

const types = ['shell', 'filesystem', 'fetch', 'think', 'todo', 'memory', 'user_prompt', 'background_agents']
const root = {
  model: 'played',
  toolsets: types.map((type) => ({ type })),
  sub_agents: ['helper'],
  handoffs: ['helper'],
  skills: [{ name: 'greet', description: 'Greets.', instructions: 'Say hello.' }],
}

async function offered() {
  const bench = toolBench([], { file: { agents: { root, helper: { model: 'played' } } } })
  await carryOut(bench.runtime, session([user('begin')]))
  return bench.requests[0]?.tools ?? []
}

it('offers its tools with the names, arguments and annotations that agents know', async () => {
  const told = (await offered()).map(({ name, category, parameters, annotations }) => {
    const reads = annotations.readOnlyHint === true ? 'R ' : ''
    return `${category} ${name} ${reads}${fieldsOf(Schema.parse(parameters))}`.trim()
  })
  expect(told.sort()).toEqual(rows.toSorted())
})

it('offers arguments with the limits that agents know', async () => {
  const tools = new Map((await offered()).map(({ name, parameters }) => [name, Schema.parse(parameters).properties]))
  const argument = (tool: string, name: string): Schema => Schema.parse(tools.get(tool)?.[name])
  expect(argument('fetch', 'urls')).toMatchObject({ minItems: 1 })
  expect(argument('fetch', 'format').enum).toEqual(['text', 'markdown', 'html'])
  expect(argument('fetch', 'timeout')).toMatchObject({ type: 'integer', minimum: 1, maximum: 300 })
  expect(argument('read_file', 'line')).toMatchObject({ type: 'integer', minimum: 1 })
  expect(argument('wait_background_agents', 'task_ids')).toMatchObject({ minItems: 1, maxItems: 100 })
  expect(argument('wait_background_agents', 'timeout')).toMatchObject({ maximum: 3600 })
  const status = Schema.parse(Schema.parse(argument('update_todos', 'updates').items).properties?.status)
  expect(status.enum).toEqual(['pending', 'in-progress', 'completed'])
})

/** The fields of an object that knows no others. */
function fieldsOf({ properties = {}, required = [], additionalProperties }: Schema): string {
  if (additionalProperties !== false) return 'anything'
  const fields = Object.entries(properties).map(([name, property]) => {
    return `${name}${shapeOf(Schema.parse(property))}${required.includes(name) ? '' : '?'}`
  })
  return fields.join(' ')
}

function shapeOf({ type, items }: Schema): string {
  if (type !== 'array') return ''
  const item = Schema.parse(items)
  return item.type === 'object' ? `[]{${fieldsOf(item)}}` : '[]'
}
