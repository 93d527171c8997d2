import { z } from 'zod'
import type { Agent } from '../agent-file/agent-file.ts'
import type { ToolCall } from '../protocol/protocol.ts'
import {
  BuiltInToolset,
  builtInTool,
  CallFailure,
  readFields,
  readOnly,
  success,
  type Toolset,
} from '../tools/tools.ts'
import type { SharedWork } from './agent-at-work.ts'
import { chosen, roster } from './delegation.ts'

export const handoffName = 'handoff'

/** The agent that a call which has succeeded hands the conversation over to. */
export function handoffTarget({ function: { arguments: args = '' } }: ToolCall): string | undefined {
  const read = readFields({}, args)
  const agent = read.ok ? read.args.agent : undefined
  return typeof agent === 'string' ? agent : undefined
}

/** The tool that lets another agent go on with the conversation. */
export function handoffToolset(agents: readonly Agent[], work: () => SharedWork): Toolset {
  const handoff = builtInTool({
    name: handoffName,
    category: 'handoff',
    description: 'Hands the conversation over to another agent, who sees all of it and goes on with it.',
    args: z.strictObject({ agent: z.string().describe('The agent that goes on') }),
    annotations: readOnly('Hand the conversation over'),
    run: ({ agent }) => {
      const target = chosen(agents, agent)
      const shared = work()
      if (shared.handoff !== undefined) {
        throw new CallFailure(`The conversation is being handed over to ${shared.handoff.Name} already.`)
      }
      shared.handoff = target
      return success(`The conversation goes to ${target.Name}. ${target.Name} answers from now on.`)
    },
  })
  return new BuiltInToolset(() => ({ tools: [handoff] }))
}

/** What is said to an agent about those it can hand the conversation over to. */
export function handoffRules(agents: readonly Agent[]): string {
  return `You are one of several agents who take turns in this conversation. You can hand it over to:

${roster(agents)}

Call handoff as soon as one of them should answer instead of you, and say nothing more after it.`
}
