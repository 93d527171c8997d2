import { existsSync } from 'node:fs'
import { extname } from 'node:path'
import { z } from 'zod'
import { isLoopback, type ListenAddress, ListenError, parseListenAddress } from './server/server.ts'
import {
  directory,
  duration,
  durationOrOff,
  oneOf,
  origin,
  path,
  retention,
  retentionOrOff,
  timer,
  timerOrOff,
  wholeNumber,
  yesOrNo,
} from './setting.ts'

/** The process is asked for something that cannot be. The message is one clear sentence. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/**
 * Everything the process can be told, checked and frozen; times are milliseconds. It is read from text, one key for
 * each setting, and the names follow from the key: `sessionDb` is `--session-db` and `QUARTERDECK_SESSION_DB`.
 */
export const Config = z
  .strictObject({
    /** The agent file or the directory as an absolute path, or an https URL. */
    source: z.string().transform(readSource),
    listen: z.string().transform(readAddress),
    sessionDb: path,
    /** What a request must bear; without it nobody is asked. */
    authToken: z
      .string()
      .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII characters without spaces')
      .optional(),
    /** Bytes of the body of a request. */
    maxRequestSize: wholeNumber(1, 'bytes'),
    /** The working directories that clients name must lie within. */
    sessionWorkingdirRoot: directory.optional(),
    /** The working directory of sessions that name none; without it the one of the process. */
    workingDir: directory.optional(),
    /** Files with variables for agents and their models, later over earlier. */
    envFromFile: z.array(path).readonly(),
    /** How often an agent file behind a URL is read again; without it never. */
    pullInterval: wholeNumber(0, 'minutes', 24 * 60).transform((minutes) =>
      minutes === 0 ? undefined : minutes * 60_000,
    ),
    /** The age at which events are dropped, and how many of a session are kept at most. */
    eventRetention: retention,
    /** The age at which pieces leave a log that other events of it tell whole; without it with the other events. */
    deltaRetention: durationOrOff,
    /** The age since their last activity at which sessions are deleted, and how many are kept at most; without it none. */
    sessionRetention: retentionOrOff,
    /** How long a repeated request is known by its key. */
    idempotencyRetention: duration,
    /** Events of one session that are kept in memory. */
    ringCapacity: wholeNumber(1, 'events'),
    /** `Infinity` when there is no limit. */
    maxConcurrentRuns: wholeNumber(0, 'runs').transform((runs) => (runs === 0 ? Number.POSITIVE_INFINITY : runs)),
    /** How long a model may say nothing before its call is given up; without it as long as the connection lasts. */
    modelSilence: timerOrOff,
    /** How long a tool call may say nothing before it is ended; without it for ever. */
    toolSilence: timerOrOff,
    /** How long a run may tell nothing while nothing goes on in it before it counts as stuck; without it for ever. */
    runSilence: timerOrOff,
    /** The origins of browsers that may call, besides the server's own. */
    corsOrigin: z.array(origin).readonly(),
    /** What becomes of a run when the client leaves its stream. */
    onDisconnect: oneOf(['cancel', 'continue']),
    /** How long a question to a person may stay open, where nobody chose; without it for ever. */
    requestDeadline: timerOrOff,
    /** What becomes of runs that the process before has left, where their session does not say. */
    recovery: oneOf(['resume', 'interrupt', 'ask']),
    /** How often a run is begun at most, after crashes. */
    recoveryAttempts: wholeNumber(1, 'attempts'),
    /** From the first signal to the end of the process. */
    shutdownGrace: timer,
    logLevel: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
    /** How long to wait for a database that another process owns. */
    ownerWait: timer,
    /** The age at which an event stream is closed politely; without it never. */
    sseMaxAge: timerOrOff,
    /** Listen where other machines can reach, without a token. */
    insecure: yesOrNo,
  })
  .readonly()
export type Config = z.infer<typeof Config>

/** The settings as text. */
export type Settings = z.input<typeof Config>

/** What holds when nothing is said. */
export const defaults: Readonly<Omit<Settings, 'source'>> = {
  listen: '127.0.0.1:8080',
  sessionDb: 'quarterdeck.db',
  maxRequestSize: '1048576',
  envFromFile: [],
  pullInterval: '0',
  eventRetention: '30d',
  deltaRetention: '7d',
  sessionRetention: 'off',
  idempotencyRetention: '24h',
  ringCapacity: '1024',
  maxConcurrentRuns: '64',
  modelSilence: '5m',
  toolSilence: '1h',
  runSilence: '5m',
  corsOrigin: [],
  onDisconnect: 'cancel',
  requestDeadline: 'off',
  recovery: 'resume',
  recoveryAttempts: '3',
  shutdownGrace: '8s',
  logLevel: 'info',
  ownerWait: '30s',
  sseMaxAge: 'off',
  insecure: 'false',
}

/**
 * Checks the settings, filling in the defaults; an empty text counts as nothing said. Throws a `UsageError` about the
 * first thing that is wrong; `nameOf` is how it calls a setting.
 */
export function parseConfig(
  settings: Partial<Settings> & Pick<Settings, 'source'>,
  nameOf: (key: string) => string = (key) => key,
): Config {
  const said = Object.fromEntries(Object.entries(settings).filter(([, text]) => text !== '' && text !== undefined))
  const result = Config.safeParse({ ...defaults, ...said })
  if (!result.success) {
    const [issue] = result.error.issues
    throw new UsageError(`${nameOf(String(issue?.path[0]))} ${issue?.message}`)
  }
  const config = result.data
  if (!isLoopback(config.listen) && config.authToken === undefined && !config.insecure) {
    throw new UsageError(
      `${nameOf('listen')} ${settings.listen} may be reached from other machines: set ${nameOf('authToken')}, or say ${nameOf('insecure')} if everybody there may use the server`,
    )
  }
  if (config.pullInterval !== undefined && !isUrl(config.source)) {
    throw new UsageError(
      `${nameOf('pullInterval')} is for agent files behind a URL: local ones are read again when they change`,
    )
  }
  return config
}

/** Whether the source is fetched instead of read from a disk. */
export function isUrl(source: string): boolean {
  return source.startsWith('https://')
}

function readAddress(text: string, context: z.RefinementCtx): ListenAddress {
  try {
    return parseListenAddress(text)
  } catch (error) {
    if (!(error instanceof ListenError)) throw error
    context.addIssue({ code: 'custom', message: `cannot be used: ${error.message}` })
    return z.NEVER
  }
}

function readSource(text: string, context: z.RefinementCtx): string {
  const objection = objectTo(text)
  if (objection === undefined) return isUrl(text) ? text : path.parse(text)
  context.addIssue({ code: 'custom', message: `"${text}" cannot be served: ${objection}` })
  return z.NEVER
}

/** What speaks against the source before anybody tries to read it: kinds that docker-agent has and this server has not. */
function objectTo(text: string): string | undefined {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[1]
  if (scheme === 'https') return URL.canParse(text) ? undefined : 'it is not a URL'
  if (scheme === 'http') return 'agent files are fetched over https only'
  if (scheme !== undefined) return `${scheme}:// is not a kind of source that quarterdeck has`
  if (extname(text).toLowerCase() === '.hcl')
    return 'agent files are YAML, HCL is a format that only docker-agent reads'
  if (existsSync(path.parse(text))) return undefined
  if (text === 'default' || text === 'coder') return 'built-in agents are a kind of source that only docker-agent has'
  if (/^[^./~\\][^\\]*\/[^\\]+$/.test(text) && !/\.ya?ml$/i.test(text)) {
    return 'there is no such directory, and agents in OCI registries are a kind of source that only docker-agent has'
  }
  return undefined
}
