import { type Stats, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { isLoopback } from '../net/net.ts'
import { Refusal } from '../protocol/protocol.ts'
import type { AgentSources } from './agent-sources.ts'
import { DirectorySource, FileSource, hclRefused } from './local-sources.ts'
import { UrlSource } from './url-source.ts'

export interface AgentSourcesOptions {
  /** A file, a directory, or an https URL (http on a loopback host). */
  readonly source: string
  /** `GITHUB_TOKEN` is sent to GitHub's hosts. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** Minutes between refreshes of a URL; 0 for none. Other sources do not take it: their edits are seen at once. */
  readonly pullIntervalMinutes?: number
  /** The most milliseconds one fetch of a URL may take. */
  readonly timeoutMs?: number
}

/**
 * Opens what `source` names. Throws `invalid_request` for a kind of source that is not supported,
 * `agent_source_unavailable` for one that cannot be read, `invalid_agent_file` for a single file that cannot be used.
 */
export async function createAgentSources(options: AgentSourcesOptions): Promise<AgentSources> {
  const { source, pullIntervalMinutes: minutes = 0 } = options
  if (!(minutes >= 0 && minutes <= 24 * 60)) throw refuse('the pull interval must be from 0 to 1440 minutes')
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return await openUrl(source, minutes, options)
  if (minutes > 0) throw refuse('a pull interval is for URLs only: edits of files are seen at once')
  const path = resolve(source)
  const stats = statsOf(path)
  if (stats === undefined) throw notFound(source)
  if (stats.isDirectory()) return new DirectorySource(path)
  if (/\.hcl$/i.test(path)) throw refuse(`${source}: ${hclRefused}`)
  return new FileSource(path)
}

async function openUrl(source: string, minutes: number, options: AgentSourcesOptions): Promise<AgentSources> {
  const url = URL.parse(source)
  if (url === null) throw refuse(`${source} is not a URL`)
  if (url.username !== '' || url.password !== '')
    throw refuse('the URL of an agent file must not hold a user or password')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) {
    throw refuse(`${source}: an agent file is fetched by https only (by http from a loopback host)`)
  }
  return await UrlSource.open(url, {
    gitHubToken: options.env.GITHUB_TOKEN,
    intervalMs: minutes * 60_000,
    timeoutMs: options.timeoutMs ?? 30_000,
  })
}

function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function notFound(source: string): Refusal {
  if (source === 'default' || source === 'coder') {
    return refuse(`the built-in agent "${source}" is not supported: name a file, a directory or a URL`)
  }
  if (/\.hcl$/i.test(source)) return refuse(`${source}: ${hclRefused}`)
  if (/^[\w.-]+(:\d+)?(\/[\w.-]+)+([:@]\S+)?$/.test(source) && !/(^[./]|\.ya?ml$)/i.test(source)) {
    return refuse(`there is no file or directory ${source}, and agents from an image registry are not supported`)
  }
  if (/^[\w-]+$/.test(source)) {
    return refuse(`there is no file or directory ${source}, and aliases of agents are not supported`)
  }
  return new Refusal('agent_source_unavailable', `there is no file or directory ${source}`)
}

function refuse(message: string): Refusal {
  return new Refusal('invalid_request', message)
}
