import { existsSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '../agent-file/agent-file.ts'
import type { ChatMessage, Item } from '../protocol/protocol.ts'
import { bounded, type PromptLimits } from './prompt-limits.ts'
import { sentHistory, sentMessages } from './sent-history.ts'

/** What the system prompt depends on besides the agent. */
export interface Surroundings {
  readonly now: Date
  readonly workingDir: string
  /** What prompt files and hooks have to say to the model. */
  readonly context: readonly string[]
  /** What is to be known about the other agents of the team. */
  readonly team: readonly string[]
  /** What toolsets say about their tools. */
  readonly instructions: readonly string[]
  /** What of the history is cut. */
  readonly limits: PromptLimits
}

/** The messages of a model call: who the agent is, where it works, and what was said. */
export function prompt(agent: Agent, surroundings: Surroundings, items: readonly Item[]): readonly ChatMessage[] {
  const history = bounded(conversation(items, agent.num_history_items), surroundings.limits)
  return [...systemMessages(agent, surroundings), ...history]
}

/** The instruction stands alone, so that what changes from day to day leaves a cached beginning as it is. */
function systemMessages(agent: Agent, surroundings: Surroundings): readonly ChatMessage[] {
  const context = [
    agent.add_date ? `Today is ${surroundings.now.toDateString()}.` : '',
    agent.add_environment_info ? environment(surroundings.workingDir) : '',
    ...surroundings.context,
  ]
  return [
    ...surroundings.team,
    agent.instruction ?? '',
    ...surroundings.instructions,
    context.filter(Boolean).join('\n\n'),
  ]
    .filter((content) => content.trim() !== '')
    .map((content) => ({ role: 'system', content }))
}

function environment(workingDir: string): string {
  const lines = [
    'The environment you work in:',
    `- Working directory: ${workingDir}`,
    `- Git repository: ${existsSync(join(workingDir, '.git')) ? 'yes' : 'no'}`,
    `- Operating system: ${platform()}`,
    `- CPU architecture: ${arch()}`,
  ]
  return lines.join('\n')
}

/** The last summary in place of what it stands for, then the messages after it; `latest` bounds those, 0 does not. */
function conversation(items: readonly Item[], latest = 0): readonly ChatMessage[] {
  const { summary, start } = sentHistory(items)
  const kept = sentMessages(items.slice(start))
  const messages = latest > 0 ? kept.slice(-latest) : kept
  if (summary === undefined) return messages
  return [{ role: 'user', content: `Summary of the conversation so far:\n\n${summary}` }, ...messages]
}
