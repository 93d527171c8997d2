import type { Task } from './runtime.ts'

/** What a conversation is told when a task has ended that it did not wait for. */
export function recallText({ id, agent, status, output, error }: Task): string {
  const what = error === undefined ? output : `Error: ${error}`
  return `The background task ${id} of ${agent} has ended (${status}).\n\n${what}`
}
