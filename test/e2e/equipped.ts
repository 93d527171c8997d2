import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { Message } from '../../src/protocol/protocol.ts'
import type { Client } from '../server/client.ts'
import { snapshotOf } from './house.ts'

/** An agent with tools on a model that plays the turns one after another. */
export function equipped(agent: object, turns: readonly (readonly object[])[], file: object = {}): string {
  const models = { played: { provider: 'scripted', model: 'test', provider_opts: { script: turns } } }
  return JSON.stringify({ models, agents: { root: { model: 'played', ...agent } }, ...file })
}

/** An agent with tools on a server that speaks chat completions. */
export function equippedAt(url: string, agent: object): string {
  const it = { provider: 'openai', model: 'gpt-4o', base_url: url }
  return JSON.stringify({ models: { it }, agents: { root: { model: 'it', ...agent } } })
}

/** What the tools of a session have answered, in the order of the transcript. */
export async function resultsIn(client: Client, id: string): Promise<readonly string[]> {
  const { messages } = await snapshotOf(client, id)
  return (messages ?? []).map((message) => Message.parse(message).message).flatMap(resultOf)
}

function resultOf({ role, content }: Message['message']): readonly string[] {
  return role === 'tool' ? [content] : []
}

/** The numbers that a tool has told, as JSON or as words. */
export function pidsIn(text: unknown): readonly number[] {
  return (String(text).match(/\d+/g) ?? []).map(Number)
}

/** Processes whose environment holds a text, found where the system tells of them. */
export function processesWith(mark: string): readonly string[] {
  if (!existsSync('/proc/self/environ')) return []
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && environmentOf(name).includes(mark))
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
  } catch {
    return ''
  }
}
