import type { RuntimeEvent } from '../../runtime/runtime.ts'

/** Knows what a run would lose if it were left now: an answer that is being written, tools that are at work. */
export class SafePoint {
  #isAnswering = false
  #isTelling = false
  readonly #atWork = new Set<string>()

  note(event: RuntimeEvent): void {
    this.#isTelling = this.#tells(event)
    switch (event.type) {
      case 'agent_choice':
      case 'agent_choice_reasoning':
      case 'partial_tool_call':
        this.#isAnswering = true
        break
      case 'message_added':
        this.#isAnswering = false
        break
      case 'tool_call':
        // It only passes on a question, which the next process finds open.
        if (event.tool_definition.category !== 'user_prompt') this.#atWork.add(event.tool_call.id ?? '')
        break
      case 'tool_call_response':
        this.#atWork.delete(event.tool_call_id)
        break
    }
  }

  /** The model has begun to say something. */
  get isAnswering(): boolean {
    return this.#isAnswering
  }

  /** What an answer took is told with it: in the same breath, as long as nobody stops the run in between. */
  get isTelling(): boolean {
    return this.#isTelling
  }

  /** Nothing would be lost, but for calls of tools that keep what they do themselves. */
  isSafeBut(tasks: ReadonlySet<string>): boolean {
    return !this.#isAnswering && this.#atWork.isSubsetOf(tasks)
  }

  #tells(event: RuntimeEvent): boolean {
    if (event.type === 'message_added') return event.message.message.role === 'assistant'
    if (event.type === 'token_usage' || event.type === 'budget_usage') return this.#isTelling
    return event.type === 'usage_spent'
  }
}
