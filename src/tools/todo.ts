import { z } from 'zod'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { builtInTool, readOnly } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { CallFailure, json } from './result.ts'
import type { TodoList } from './todo-list.ts'
import type { Toolset } from './tools.ts'

/** Beyond this a list is no list any more. */
const maxTodos = 500
const category = 'todo'

const instruction = `## Todos

- Write down the steps of work that has several before you begin, and set them to in-progress and completed as you go.
- Tell about all changes at once instead of one call each.
- Look at the list before you say that you are done.`

const Description = z.string().min(1).describe('What is to be done')
const Update = z.strictObject({
  id: z.string().describe('The id of the todo'),
  status: z.enum(['pending', 'in-progress', 'completed']).describe('Its new status'),
})

/** A list of what is to be done. It lives as long as `todos` does, also across starts. */
export function todo(todos: TodoList): Toolset {
  const tools = [
    builtInTool({
      name: 'create_todo',
      category,
      description: 'Adds one todo to the list.',
      args: z.strictObject({ description: Description }),
      annotations: readOnly('Create a todo'),
      run: ({ description }) => told(todos, { created: added(todos, [description])[0] }),
    }),
    builtInTool({
      name: 'create_todos',
      category,
      description: 'Adds several todos to the list.',
      args: z.strictObject({ descriptions: z.array(Description).min(1).describe('What is to be done') }),
      annotations: readOnly('Create todos'),
      run: ({ descriptions }) => told(todos, { created: added(todos, descriptions) }),
    }),
    builtInTool({
      name: 'update_todos',
      category,
      description: 'Sets the status of todos.',
      args: z.strictObject({ updates: z.array(Update).min(1).describe('The todos and their new status') }),
      annotations: readOnly('Update todos'),
      run: ({ updates }) => {
        const updated = updates.map((update) => todos.update(update)).filter((todo) => todo !== undefined)
        const unknown = updates.map(({ id }) => id).filter((id) => !todos.all.some((todo) => todo.id === id))
        const result = told(todos, { updated, ...(unknown.length > 0 && { not_found: unknown }) })
        return updated.length > 0 ? result : { ...result, isError: true }
      },
    }),
    builtInTool({
      name: 'list_todos',
      category,
      description: 'Lists all todos with their status.',
      args: z.strictObject({}),
      annotations: readOnly('List todos'),
      run: () => json({ todos: todos.all, ...reminder(todos) }),
    }),
  ]
  return new BuiltInToolset(() => ({ tools, instruction }))
}

function added(todos: TodoList, descriptions: readonly string[]) {
  if (todos.all.length + descriptions.length > maxTodos)
    throw new CallFailure(`The list is full: it has at most ${maxTodos} todos.`)
  return descriptions.map((description) => todos.add(description))
}

function told(todos: TodoList, what: object): ToolCallResult {
  return json({ ...what, all_todos: todos.all, ...reminder(todos) })
}

function reminder({ open }: TodoList): { reminder?: string } {
  if (open.length === 0) return {}
  return { reminder: `Not completed yet: ${open.map(({ id, status }) => `${id} (${status})`).join(', ')}` }
}
