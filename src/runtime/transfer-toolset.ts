import { z } from 'zod'
import type { Agent } from '../agent-file/agent-file.ts'
import {
  BuiltInToolset,
  builtInTool,
  CallFailure,
  readOnly,
  success,
  type Toolset,
  unlessAborted,
} from '../tools/tools.ts'
import type { SharedWork } from './agent-at-work.ts'
import { checkDelegation, chosen, type Lineage, roster, taskText, taskTitle } from './delegation.ts'
import type { RunContext, Runtime } from './runtime.ts'

/** What the tools that hand work over need. */
export interface Delegating {
  readonly agents: readonly Agent[]
  /** The agents above the tasks that are handed over here, this one the last. */
  readonly lineage: Lineage
  /** The run that a call belongs to. */
  work(): { readonly context: RunContext; readonly shared: SharedWork }
  /** An agent of the team, ready for a task. */
  open(agent: Agent): Runtime
}

const Task = z.strictObject({
  agent: z.string().describe('The agent to give the task to'),
  task: z.string().describe('The task, with everything the agent must know: it sees nothing of this conversation'),
  expected_output: z.string().describe('What the agent should answer with'),
})

/** The tool that gives a task to another agent and waits for what it answers. */
export function transferToolset(delegating: Delegating): Toolset {
  const transfer = builtInTool({
    name: 'transfer_task',
    category: 'transfer',
    description: 'Gives a task to another agent, waits until it is done, and answers with what that agent says.',
    args: Task,
    annotations: readOnly('Give a task to another agent'),
    run: async ({ agent, task, expected_output }, { callId, signal }) => {
      const { agents, lineage, open } = delegating
      const { context, shared } = delegating.work()
      const target = chosen(agents, agent)
      checkDelegation(lineage, target)
      const text = taskText(task, expected_output)
      const begun = await context.tasks.begin({
        open: () => open(target),
        task: text,
        title: taskTitle(task),
        isBackground: false,
        callId,
      })
      const ended = await unlessAborted(shared.stopwatch.hold(context.tasks.ended(begun.id)), signal)
      if (ended?.status === 'completed') return success(ended.output)
      throw new CallFailure(failed(target.Name, ended?.error))
    },
  })
  return new BuiltInToolset(() => ({ tools: [transfer] }))
}

/** What is said to an agent about those it can give tasks to. */
export function transferRules(agents: readonly Agent[]): string {
  return `You work with these agents:

${roster(agents)}

Give one of them a task with transfer_task when it is better at it than you. It knows nothing of this conversation, so tell it all it needs. Do yourself what none of them is for.`
}

function failed(name: string, error: string | undefined): string {
  return `${name} could not do the task${error === undefined ? '.' : `: ${error}`}`
}
