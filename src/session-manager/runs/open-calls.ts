import type { Event, Tool, ToolCallResult } from '../../protocol/protocol.ts'
import { type RuntimeEvent, toolMessage } from '../../runtime/runtime.ts'
import type { SessionState } from '../state/session-state.ts'

/** A call that has begun, and whose result is not part of the conversation yet. */
interface OpenCall {
  readonly agent: string
  readonly tool: Tool
  /** Set once it was told. */
  readonly result: ToolCallResult | undefined
}

/** The calls of the last answer whose results a run still owes the conversation. */
export class OpenCalls {
  readonly #calls = new Map<string, OpenCall>()

  note(event: Event | RuntimeEvent): void {
    switch (event.type) {
      case 'tool_call': {
        const { tool_call, tool_definition: tool, agent_name: agent = '' } = event
        this.#calls.set(tool_call.id ?? '', { agent, tool, result: undefined })
        break
      }
      case 'tool_call_response': {
        const { tool_call_id, tool_definition: tool, agent_name: agent = '', response } = event
        this.#calls.set(tool_call_id, { agent, tool, result: event.result ?? { output: response } })
        break
      }
      case 'message_added': {
        const { role, tool_call_id = '' } = event.message.message
        if (role === 'assistant') this.#calls.clear()
        else this.#calls.delete(tool_call_id)
      }
    }
  }

  /** Some carry something out, but for those that ask a person, and those that wait for a task. */
  areAtWork(asking: ReadonlySet<string>): boolean {
    return [...this.#calls].some(([id, call]) => isOpen(call) && !isTask(call) && !asking.has(id))
  }

  /** A task is waited for. */
  get waitForTasks(): boolean {
    return [...this.#calls.values()].some((call) => isOpen(call) && isTask(call))
  }

  /**
   * When the run comes to none of them any more. A conversation without their results reads as if they had done nothing, and
   * a model would make them again.
   */
  close(state: SessionState, runId: string, whyUnknown: string): void {
    const lost: ToolCallResult = { output: whyUnknown, isError: true }
    for (const [id, { agent: agent_name, tool, result }] of this.#calls) {
      const told = { agent_name, tool_call_id: id, tool_definition: tool, response: lost.output, result: lost }
      if (result === undefined) state.recorder.event({ type: 'tool_call_response', ...told }, runId)
      state.addMessage(toolMessage(agent_name, id, result ?? lost), runId)
    }
    this.#calls.clear()
  }
}

function isOpen({ result }: OpenCall): boolean {
  return result === undefined
}

function isTask({ tool }: OpenCall): boolean {
  return tool.category === 'transfer'
}
