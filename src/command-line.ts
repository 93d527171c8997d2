import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Config, defaults, parseConfig, type Settings, UsageError } from './config.ts'
import { version } from './version.ts'

/** What the process is asked to do. */
export type Command =
  | { readonly kind: 'serve'; readonly config: Config }
  | { readonly kind: 'help'; readonly text: string }
  | { readonly kind: 'version'; readonly text: string }

type Key = Exclude<keyof Settings, 'source'>
type Draft = { -readonly [K in Key]?: Settings[K] }

interface Flag {
  readonly value?: string
  readonly short?: string
  readonly repeat?: true
  readonly help: string
}

const flags: Readonly<Record<Key, Flag>> = {
  listen: {
    value: 'ADDRESS',
    short: 'l',
    help: 'host:port, unix://PATH or fd://N, an inherited socket; a port of 0 is chosen by the system',
  },
  sessionDb: { value: 'PATH', short: 's', help: 'the SQLite file that holds the sessions' },
  authToken: { value: 'TOKEN', help: 'what clients must send as their bearer token; better set as a variable' },
  insecure: { help: 'listen beyond this machine without a token' },
  corsOrigin: { value: 'ORIGIN', repeat: true, help: 'a browser origin that may call, besides that of the server' },
  maxRequestSize: { value: 'BYTES', help: 'the largest body of a request' },
  workingDir: { value: 'DIR', help: 'working directory of sessions that name none (default: where the server starts)' },
  sessionWorkingdirRoot: { value: 'DIR', help: 'the working directories that clients name must lie within it' },
  envFromFile: { value: 'FILE', repeat: true, help: 'KEY=VALUE lines for agents and model keys, over the environment' },
  pullInterval: { value: 'MINUTES', help: 'read an agent file behind a URL again this often; 0 is never' },
  maxConcurrentRuns: { value: 'N', help: 'runs at the same time, over all sessions; 0 is no limit' },
  modelSilence: { value: 'DURATION', help: 'a model call that says nothing for so long is given up; off is never' },
  toolSilence: { value: 'DURATION', help: 'a tool call that says nothing for so long is ended; off is never' },
  runSilence: {
    value: 'DURATION',
    help: 'a run that tells nothing for so long, although nothing goes on in it, fails as stuck; off is never',
  },
  onDisconnect: { value: 'WHAT', help: 'cancel or continue a run when its client leaves the stream' },
  requestDeadline: {
    value: 'DURATION',
    help: 'refuse or decline what a person was asked and did not answer in this time; off is never',
  },
  recovery: { value: 'WHAT', help: 'resume or interrupt runs that a restart has cut, or ask a person' },
  recoveryAttempts: { value: 'N', help: 'how often a run is begun that crashes cut' },
  eventRetention: {
    value: 'DURATION[,EVENTS]',
    help: 'events are dropped at this age, and the oldest of a session that has more; messages are kept',
  },
  deltaRetention: {
    value: 'DURATION',
    help: 'pieces of text that later events tell whole are dropped at this age; off is with the other events',
  },
  sessionRetention: {
    value: 'DURATION[,SESSIONS]',
    help: 'sessions are deleted this long after their last activity, and the oldest of more; starred ones stay; off is never',
  },
  idempotencyRetention: { value: 'DURATION', help: 'how long a repeated request is known by its Idempotency-Key' },
  ringCapacity: { value: 'N', help: 'events of each session kept in memory; older ones come from the file' },
  sseMaxAge: { value: 'DURATION', help: 'close event streams at this age, politely; off is never' },
  ownerWait: { value: 'DURATION', help: 'how long to wait for a database that another process owns' },
  shutdownGrace: { value: 'DURATION', help: 'time that a signal leaves for an orderly end' },
  logLevel: { value: 'LEVEL', help: 'fatal, error, warn, info, debug, trace or silent; the log goes to stderr' },
}

const keys = Object.keys(flags) as Key[]
const keyByFlag: ReadonlyMap<string, Key> = new Map(keys.map((key) => [flagOf(key), key]))

/** Flags of docker-agent's `serve api` that mean nothing here. */
const ancestorFlags: ReadonlySet<string> = new Set(
  (
    'fake record pprof-addr models-gateway flavor code-mode-tools hook-pre-tool-use hook-post-tool-use ' +
    'hook-session-start hook-session-end hook-on-user-input hook-stop mcp-oauth-redirect-uri ' +
    'debug d otel o log-file cache-dir config-dir data-dir'
  ).split(' '),
)

/**
 * Reads the arguments after the program's name. A flag wins over its variable, a variable over the default; of a flag
 * given twice the last counts, and those that may be repeated add up. Throws a `UsageError`.
 */
export function parseCommandLine(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Command {
  const { tokens, positionals } = parseArgs({ args: [...argv], options, strict: false, tokens: true })
  const given = tokens.filter((token) => token.kind === 'option')
  if (given.some(({ name }) => name === 'help') || positionals[0] === 'help') return { kind: 'help', text: help() }
  if (given.some(({ name }) => name === 'version')) return { kind: 'version', text: version }

  const [command, ...sources] = positionals
  const fromFlags: Draft = {}
  for (const token of given) take(fromFlags, token)
  if (command !== 'serve') {
    throw new UsageError(
      `${command === undefined ? 'a command is missing' : `there is no command "${command}"`}: ${usage}`,
    )
  }
  if (sources.length > 1) throw new UsageError(`serve takes one source of agents, not ${sources.length}: ${usage}`)
  const settings = { ...readEnvironment(env), ...fromFlags, source: sources[0] ?? examples() }
  const nameOf = (key: string) =>
    key === 'source'
      ? 'the source'
      : isKey(key) && !(key in fromFlags) && key in settings
        ? variableOf(key)
        : `--${flagOf(key)}`
  return { kind: 'serve', config: parseConfig(settings, nameOf) }
}

const usage = 'quarterdeck serve <agent-file | directory | https URL> (quarterdeck --help tells more)'

const options = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  ...Object.fromEntries(
    keys.map((key) => {
      const { value, short } = flags[key]
      return [flagOf(key), { type: value === undefined ? 'boolean' : 'string', ...(short && { short }) } as const]
    }),
  ),
} as const

interface Token {
  readonly name: string
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

function take(settings: Draft, token: Token): void {
  const key = keyByFlag.get(token.name)
  if (key === undefined) {
    const known = ancestorFlags.has(token.name)
    throw new UsageError(
      known
        ? `${token.rawName} is a flag of docker-agent that quarterdeck does not have`
        : `there is no flag ${token.rawName} (quarterdeck --help lists them)`,
    )
  }
  put(settings, key, flags[key].value === undefined ? (token.value ?? 'true') : readValue(token))
}

function readValue({ value, inlineValue, rawName }: Token): string {
  if (value !== undefined && (inlineValue || !/^-./.test(value))) return value
  throw new UsageError(
    `${rawName} needs a value${value === undefined ? '' : ` (write ${rawName}=${value} if "${value}" is meant)`}`,
  )
}

function put(settings: Draft, key: Key, text: string): void {
  if (key === 'envFromFile' || key === 'corsOrigin') settings[key] = [...(settings[key] ?? []), text]
  else settings[key] = text
}

/** The settings that variables make; in those that may be repeated, commas part the values. */
function readEnvironment(env: Readonly<Record<string, string | undefined>>): Draft {
  const settings: Draft = {}
  for (const key of keys) {
    const text = env[variableOf(key)]
    if (!text) continue
    for (const value of flags[key].repeat ? text.split(',') : [text]) put(settings, key, value.trim())
  }
  return settings
}

/** The agents that come with the program, for those who only want to look. */
function examples(): string {
  const directory = fileURLToPath(new URL('../examples', import.meta.url))
  if (existsSync(directory)) return directory
  throw new UsageError(`serve needs to be told which agents: ${usage}`)
}

function isKey(text: string): text is Key {
  return Object.hasOwn(flags, text)
}

function flagOf(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function variableOf(key: Key): string {
  return `QUARTERDECK_${flagOf(key).replaceAll('-', '_').toUpperCase()}`
}

function help(): string {
  return `quarterdeck ${version}: a server that owns the sessions of AI agents

Usage
  quarterdeck serve <agent-file | directory | https URL> [flags]
  quarterdeck serve                   serve the examples that come along
  quarterdeck --help | --version

Flags
${keys.map(describe).join('\n')}

Each flag is also a variable: --session-db is QUARTERDECK_SESSION_DB, and the flag wins. Where a flag may be
repeated, commas part the values of the variable. Durations are written like 500ms, 30s, 1h30m or 30d.

Exit codes: 0 after an orderly end, 1 when the server cannot start or fails, 2 when it is called wrongly,
70 when the database can no longer be trusted.
`
}

function describe(key: Key): string {
  const { short, value, repeat, help } = flags[key]
  const name = `${short ? `-${short}, ` : '    '}--${flagOf(key)}${value ? ` ${value}` : ''}`
  const standard = value && !repeat && key in defaults ? ` (default: ${defaults[key]})` : ''
  return `  ${name}\n          ${help}${repeat ? '; may be repeated' : ''}${standard}`
}
