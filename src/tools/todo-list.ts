export type TodoStatus = 'pending' | 'in-progress' | 'completed'

export interface Todo {
  readonly id: string
  readonly description: string
  readonly status: TodoStatus
}

export interface TodoUpdate {
  readonly id: string
  readonly status: TodoStatus
}

/** What is to be done, in memory. Agents of a team may share one. */
export class TodoList {
  readonly #todos = new Map<string, Todo>()
  #last = 0

  get all(): readonly Todo[] {
    return [...this.#todos.values()]
  }

  get open(): readonly Todo[] {
    return this.all.filter(({ status }) => status !== 'completed')
  }

  add(description: string): Todo {
    const todo: Todo = { id: `todo_${++this.#last}`, description, status: 'pending' }
    this.#todos.set(todo.id, todo)
    return todo
  }

  /** `undefined` when there is no such todo. */
  update({ id, status }: TodoUpdate): Todo | undefined {
    const todo = this.#todos.get(id)
    if (todo === undefined) return undefined
    const next = { ...todo, status }
    this.#todos.set(id, next)
    return next
  }
}
