import type { Agent } from '../agent-file/agent-file.ts'
import { CallFailure } from '../tools/tools.ts'
import type { Budgets } from './budgets.ts'

/** How deep tasks may be handed over. */
const deepest = 10

/** The agents above a task: who hands it over, and who handed over to that one, up to the first. */
export type Lineage = readonly Agent[]

/** What an agent is given along with a task. */
export interface Orders {
  readonly lineage: Lineage
  /** Those of the run at the top. */
  readonly budgets: Budgets
}

/** Throws what the model is told when a task must not be handed over: nobody gets back, far below, what it has handed over itself. */
export function checkDelegation(lineage: Lineage, target: Agent): void {
  if (lineage.includes(target)) {
    throw new CallFailure(`${target.Name} waits for this work itself, so it cannot be given to it. Do it yourself.`)
  }
  if (lineage.length >= deepest) {
    throw new CallFailure(`Tasks were handed over ${deepest} times already. Do this one yourself.`)
  }
}

/** All that the other agent is told. */
export function taskText(task: string, expectedOutput: string | undefined): string {
  const expected = expectedOutput === undefined || expectedOutput === '' ? [] : [`What is expected:\n${expectedOutput}`]
  return [task, ...expected].join('\n\n')
}

/** Names the conversation of a task in lists. */
export function taskTitle(task: string): string {
  const [line = ''] = task.trim().split('\n')
  const characters = Array.from(new Intl.Segmenter().segment(line), ({ segment }) => segment)
  return characters.length > 50 ? `${characters.slice(0, 49).join('')}…` : line
}

/** The agents among those that a name may mean; throws what the model is told when it means none. */
export function chosen(agents: readonly Agent[], name: string): Agent {
  const agent = agents.find((candidate) => candidate.Name === name)
  if (agent !== undefined) return agent
  throw new CallFailure(
    `There is no agent called "${name}" here. There are: ${agents.map((one) => one.Name).join(', ')}.`,
  )
}

/** Who they are, for a prompt. */
export function roster(agents: readonly Agent[]): string {
  return agents.map(({ Name, description }) => `- ${Name}${description ? `: ${description}` : ''}`).join('\n')
}
