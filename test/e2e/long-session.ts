import { Run } from '../../src/protocol/protocol.ts'
import type { Upstream } from '../runtime/upstream.ts'
import type { Client } from '../server/client.ts'

export const variables = { OPENAI_API_KEY: 'k', PATH: process.env.PATH ?? '' }

interface Keys {
  readonly agent?: object
  /** Tokens that the model can read. */
  readonly window?: number
  readonly file?: object
}

/** An agent on a server that speaks chat completions and takes a dollar for each token. */
export function priced(url: string, { agent = {}, window, file = {} }: Keys = {}): string {
  const options = window === undefined ? {} : { provider_opts: { context_size: window } }
  const cost = { input: 1_000_000, output: 1_000_000 }
  const it = { provider: 'openai', model: 'gpt-test', base_url: url, cost, ...options }
  return JSON.stringify({ models: { it }, agents: { root: { model: 'it', ...agent } }, ...file })
}

/** What the n-th call was sent, the last one without a number: who said what, without system messages. */
export function sentTo({ calls }: Upstream, call = -1): readonly string[] {
  const messages = calls.at(call)?.messages ?? []
  return messages.filter(({ role }) => role !== 'system').map((message) => `${message.role}: ${said(message)}`)
}

function said({ content, tool_calls }: { readonly content: unknown; readonly tool_calls?: unknown }): string {
  const text = typeof content === 'string' ? content : ''
  return Array.isArray(tool_calls) ? `${text}[${tool_calls.length} calls]` : text
}

/** What the n-th call was told apart from the conversation. */
export function systemOf({ calls }: Upstream, call = -1): string {
  const messages = calls.at(call)?.messages ?? []
  return messages.flatMap(({ role, content }) => (role === 'system' ? [String(content)] : [])).join('\n')
}

/** The calls that ask for a summary. */
export function summariesOf(upstream: Upstream): number {
  return upstream.calls.filter((_, call) => systemOf(upstream, call).startsWith('You compress conversations')).length
}

/** The runs of a session, oldest first. */
export async function runsOf(client: Client, id: string): Promise<readonly Run[]> {
  return Run.array()
    .parse((await client.call('listRuns', { params: { id } })).body)
    .reverse()
}
