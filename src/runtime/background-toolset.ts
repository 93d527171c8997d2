import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import {
  BuiltInToolset,
  builtInTool,
  CallFailure,
  json,
  readOnly,
  success,
  type Toolset,
  unlessAborted,
} from '../tools/tools.ts'
import { checkDelegation, chosen, taskText, taskTitle } from './delegation.ts'
import type { Task } from './runtime.ts'
import type { Delegating } from './transfer-toolset.ts'

const category = 'transfer'
const mostRunning = 20
/** Of the output of one task, in characters, where several are shown. */
const longestOutput = 4096

const instruction = `## Background agents

run_background_agent gives a task to another agent and does not wait, so that several can work at the same time. It answers with a task_id. Go on with other work meanwhile; see with view_background_agent, or wait with wait_background_agents, for what became of it. These agents cannot ask anybody, so what would need an approval is refused to them.`

const TaskId = z.strictObject({ task_id: z.string().describe('The task') })

/** The tools that give tasks to other agents without waiting for them. `recall`: the conversation is told when one has ended. */
export function backgroundToolset(delegating: Delegating, recall: boolean): Toolset {
  const tasks = () => delegating.work().context.tasks
  const tools = [
    runTool(delegating, recall),
    builtInTool({
      name: 'list_background_agents',
      category,
      description: 'Lists the background tasks of this conversation.',
      args: z.strictObject({}),
      annotations: readOnly('List background tasks'),
      run: () =>
        json(
          tasks()
            .background()
            .map(({ id, agent, status }) => ({ task_id: id, agent, status })),
        ),
    }),
    builtInTool({
      name: 'view_background_agent',
      category,
      description: 'Shows how a background task stands, and what its agent has said last.',
      args: TaskId,
      annotations: readOnly('Look at a background task'),
      run: ({ task_id }) => success(described(find(tasks().background(), task_id))),
    }),
    builtInTool({
      name: 'stop_background_agent',
      category,
      description: 'Stops a background task.',
      args: TaskId,
      annotations: { title: 'Stop a background task' },
      run: async ({ task_id }, { signal }) => {
        find(tasks().background(), task_id)
        await unlessAborted(tasks().stop(task_id), signal)
        return success(described(find(tasks().background(), task_id)))
      },
    }),
    waitTool(delegating),
  ]
  return new BuiltInToolset(() => ({ tools, instruction }))
}

/** Whether a tool, with or without a prefix, only looks how background tasks stand. */
export function isLook(name: string): boolean {
  return /(?:^|_)(?:list|view|wait)_background_agents?$/.test(name)
}

function runTool({ agents, lineage, work, open }: Delegating, recall: boolean) {
  return builtInTool({
    name: 'run_background_agent',
    category,
    description: 'Gives a task to another agent without waiting for it. Answers with the id of the task.',
    args: z.strictObject({
      agent: z.string().describe('The agent to give the task to'),
      task: z.string().describe('The task, with everything the agent must know: it sees nothing of this conversation'),
      expected_output: z.string().optional().describe('What the agent should answer with'),
    }),
    annotations: { title: 'Start a background task' },
    run: async ({ agent, task, expected_output }, { callId }) => {
      const target = chosen(agents, agent)
      checkDelegation(lineage, target)
      const { tasks } = work().context
      const running = tasks.background().filter(({ status }) => status === 'running').length
      if (running >= mostRunning) throw new CallFailure(`${running} tasks are running, and no more can. Wait for some.`)
      const begun = await tasks.begin({
        open: () => open(target),
        task: taskText(task, expected_output),
        title: taskTitle(task),
        isBackground: true,
        callId,
        recall,
      })
      return json({ task_id: begun.id, agent: target.Name, status: begun.status })
    },
  })
}

function waitTool({ work }: Delegating) {
  return builtInTool({
    name: 'wait_background_agents',
    category,
    description: 'Waits until background tasks have ended, and shows what became of them.',
    args: z.strictObject({
      task_ids: z.array(z.string()).min(1).max(100).describe('The tasks'),
      timeout: z.number().int().min(1).max(3600).optional().describe('Seconds to wait at most; 300 unless told'),
    }),
    annotations: readOnly('Wait for background tasks'),
    run: async ({ task_ids, timeout = 300 }, { signal }) => {
      const { context, shared } = work()
      const { tasks } = context
      const ids = [...new Set(task_ids)]
      for (const id of ids) find(tasks.background(), id)
      const done = Promise.all(ids.map((id) => tasks.ended(id)))
      const allDone = await shared.stopwatch.hold(withinSeconds(done, timeout, signal))
      const states = ids.map((id) => waited(find(tasks.background(), id)))
      return json({ all_done: allDone, ...(!allDone && { timed_out: true }), tasks: states })
    },
  })
}

/** Whether the work was done in time. */
async function withinSeconds(work: Promise<unknown>, seconds: number, signal: AbortSignal): Promise<boolean> {
  const over = new AbortController()
  const late = wait(seconds * 1000, false, { signal: AbortSignal.any([signal, over.signal]) })
  try {
    return await Promise.race([unlessAborted(work, signal).then(() => true), late])
  } finally {
    over.abort()
    late.catch(() => {})
  }
}

function find(tasks: readonly Task[], id: string): Task {
  const task = tasks.find((one) => one.id === id)
  if (task === undefined) throw new CallFailure(`There is no background task ${id}.`)
  return task
}

function described({ id, agent, status, output, error }: Task): string {
  const lines = [`Task ${id} of ${agent}: ${status}`, ...(error === undefined ? [] : [`Error: ${error}`])]
  return [...lines, output === '' ? '(it has said nothing yet)' : output].join('\n')
}

function waited({ id, status, output, error }: Task) {
  const truncated = output.length > longestOutput
  return {
    task_id: id,
    status,
    done: status !== 'running',
    ...(output !== '' && { output: output.slice(0, longestOutput).toWellFormed() }),
    ...(error !== undefined && { error }),
    ...(truncated && { truncated }),
  }
}
