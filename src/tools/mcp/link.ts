import { createHmac, randomBytes } from 'node:crypto'
import { homedir } from 'node:os'
import { basename, resolve } from 'node:path'
import type { Transport } from '@modelcontextprotocol/client'
import type { RequestHeaders, ToolEnvironment } from '../tools.ts'
import { ToolsetFailure } from '../toolset-failure.ts'
import { agentVariables, expandShellVariables, expandVariables, headersToSend, type Variables } from '../variables.ts'
import type { Loss } from './loss.ts'
import type { McpDefinition, RemoteDefinition } from './mcp-definition.ts'
import { createRemoteFetch } from './remote-fetch.ts'
import { SseTransport, StreamableTransport } from './remote-transports.ts'
import type { Command } from './server-process.ts'
import { StdioTransport } from './stdio-transport.ts'

/** A transport, and what can be told about a server that did not start. */
export interface LinkTransport extends Transport {
  /** What a process said about itself before it ended. */
  readonly stderr?: string
}

/** A way to one server. */
export interface Link {
  /** How messages for people call the server. */
  readonly label: string
  /** Whether the server is a process of ours or stands somewhere else. */
  readonly remote: boolean
  /** Whether the server may speak the newer era of the protocol. */
  readonly mayBeModern: boolean
  /** What no message may show. */
  readonly secrets: readonly string[]
  /** Says the same for two API requests whose headers make the server see the same. Tells nothing about them. */
  identityOf(headers: RequestHeaders): string
  /** `incoming` is asked for the headers of the API request behind a request that belongs to no call. */
  open(onLost: (loss: Loss) => void, incoming: () => RequestHeaders): LinkTransport
}

/** What a process needs to find programs and its person's files; all else is configured. */
const inherited = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TERM', 'TMPDIR', 'TZ']

/** Reads a definition. Throws {@link ToolsetFailure} when it cannot be followed. */
export function createLink(definition: McpDefinition, environment: ToolEnvironment): Link {
  const { command, remote, ref } = definition
  if (ref?.startsWith('docker:')) {
    throw new ToolsetFailure(
      `the MCP server ${ref} cannot be started: servers of the Docker catalogue are not supported`,
    )
  }
  if (command !== undefined) return stdioLink(command, definition, environment)
  if (remote !== undefined) return remoteLink(remote, definition.name, environment)
  throw new ToolsetFailure(`the MCP server ${definition.name ?? ref ?? ''} has neither a command nor a remote address`)
}

function stdioLink(program: string, definition: McpDefinition, environment: ToolEnvironment): Link {
  const variables = agentVariables(environment.variables)
  const expand = (text: string) => expandVariables(text, variables)
  const configured = Object.entries(definition.env ?? {}).map(([name, text]) => {
    return [name, expandShellVariables(text, variables)] as const
  })
  const base = inherited.flatMap((name) => {
    const value = variables[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const command: Command = {
    command: expand(program),
    args: (definition.args ?? []).map(expand),
    cwd: resolve(environment.workingDir, readFolder(definition.working_dir ?? '', variables)),
    env: Object.fromEntries([...base, ...configured]),
  }
  return {
    label: definition.name ?? basename(command.command),
    remote: false,
    mayBeModern: true,
    secrets: configured.map(([, value]) => value),
    identityOf: () => '',
    open: (onLost) => new StdioTransport(command, onLost),
  }
}

function readFolder(text: string, variables: Variables): string {
  return expandShellVariables(text, variables).replace(/^~(?=\/|$)/, variables.HOME ?? homedir())
}

const kinds: Readonly<Record<string, 'streamable' | 'sse'>> = {
  streamable: 'streamable',
  'streamable-http': 'streamable',
  streamable_http: 'streamable',
  http: 'streamable',
  sse: 'sse',
}

function remoteLink(remote: RemoteDefinition, name: string | undefined, environment: ToolEnvironment): Link {
  const variables = agentVariables(environment.variables)
  const url = readUrl(expandVariables(remote.url, variables))
  const label = name ?? url.host
  const kind = kinds[remote.transport_type ?? 'streamable']
  if (kind === undefined) {
    throw new ToolsetFailure(`the MCP server ${label} has the unknown transport ${remote.transport_type}`)
  }
  if (remote.oauth) throw new ToolsetFailure(`the MCP server ${label} wants OAuth, which is not supported`)
  const headers = Object.fromEntries(
    Object.entries(remote.headers ?? {}).map(([key, text]) => [key, expandVariables(text, variables)]),
  )
  const salt = randomBytes(16)
  return {
    label,
    remote: true,
    mayBeModern: kind === 'streamable',
    secrets: [],
    identityOf: (incoming) => digest(salt, headersToSend(headers, incoming)),
    open: (onLost, incoming) => {
      const fetch = createRemoteFetch(headers, incoming, onLost)
      return kind === 'sse' ? new SseTransport(url, fetch, onLost) : new StreamableTransport(url, fetch)
    },
  }
}

/** Two identities are compared long after the headers are gone. */
function digest(salt: Buffer, headers: Readonly<Record<string, string>>): string {
  return createHmac('sha256', salt).update(JSON.stringify(headers)).digest('base64')
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new ToolsetFailure('the address of an MCP server is no http or https address')
}
