import { existsSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '../agent-file/agent-file.ts'
import type { ModelRequest } from '../models/models.ts'
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
export function prompt(
  agent: Agent,
  surroundings: Surroundings,
  items: readonly Item[],
): Pick<ModelRequest, 'messages' | 'steady'> {
  const { team, instructions, limits } = surroundings
  const steady = systemMessages([...team, agent.instruction ?? '', ...instructions])
  const history = bounded(conversation(items, agent.num_history_items), limits)
  return { messages: [...steady, ...systemMessages([today(agent, surroundings)]), ...history], steady: steady.length }
}

/** What changes from day to day stands alone and last, so that it leaves a cached beginning as it is. */
function today(agent: Agent, { now, workingDir, context }: Surroundings): string {
  const date = agent.add_date ? `Today is ${now.toDateString()}.` : ''
  const place = agent.add_environment_info ? environment(workingDir) : ''
  return [date, place, ...context].filter(Boolean).join('\n\n')
}

function systemMessages(texts: readonly string[]): readonly ChatMessage[] {
  return texts.filter((content) => content.trim() !== '').map((content) => ({ role: 'system', content }))
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

/** The last summary in place of what it stands for, then the messages after it: all, or about so many of the `latest`. */
function conversation(items: readonly Item[], latest = 0): readonly ChatMessage[] {
  const { summary, start } = sentHistory(items)
  const kept = sentMessages(items.slice(start))
  const messages = latest > 0 ? latestOf(kept, latest) : kept
  if (summary === undefined) return messages
  return [{ role: 'user', content: `Summary of the conversation so far:\n\n${summary}` }, ...messages]
}

/**
 * The latest messages with what they mean nothing without: results stand with the answer that asked for them, and at the
 * beginning stands what a user said, which providers insist on and without which nobody knows what all of it is for.
 */
function latestOf(messages: readonly ChatMessage[], count: number): readonly ChatMessage[] {
  let from = Math.max(0, messages.length - count)
  while (from > 0 && messages[from]?.role === 'tool') from -= 1
  const latest = messages.slice(from)
  if (latest[0]?.role === 'user') return latest
  const asked = messages.slice(0, from).findLast(({ role }) => role === 'user')
  return asked === undefined ? latest : [asked, ...latest]
}
