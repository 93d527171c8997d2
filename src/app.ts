import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import { createAgentSources } from './agent-file/agent-file.ts'
import type { Config } from './config.ts'
import { createModels } from './models/models.ts'
import type { AgentSummary } from './protocol/protocol.ts'
import { createAgents } from './runtime/agents.ts'
import { buildServer, listen } from './server/server.ts'
import { SessionManager, type TakenUpRuns } from './session-manager/session-manager.ts'
import { createSqliteStore } from './store/sqlite-store.ts'
import { ownProcesses } from './tools/tools.ts'
import { version } from './version.ts'

/** What the process lends the application. */
export interface Env {
  readonly logger: Logger
  /** Environment variables as agents and their models see them. */
  readonly variables: Readonly<Record<string, string | undefined>>
}

/** The whole server. `close()` ends it in order within the grace period; twice is harmless. */
export interface App {
  /** Starts to listen, takes ownership of the database, and answers where it listens. */
  listen(): Promise<string>
  close(): Promise<void>
  /** Resolves with the error after which the store cannot be trusted; otherwise never. */
  readonly failed: Promise<Error>
}

/** What the end needs after the runs have had their time: to end the tails, commit and close. */
const closingMs = 3500

/** Sessions that one line of the log names at most. */
const mostNamed = 20

/** Puts the rooms together: the only place that knows what is behind each door. */
export async function createApp(config: Config, { logger, variables }: Env): Promise<App> {
  const { source, pullInterval } = config
  const pullIntervalMinutes = pullInterval === undefined ? undefined : pullInterval / 60_000
  const sources = await createAgentSources({ source, env: variables, pullIntervalMinutes })
  const store = createSqliteStore({
    path: config.sessionDb,
    ownerWaitMs: config.ownerWait,
    onDamage: (damage) => logger.error({ damage }, 'a stored record cannot be read'),
    onHealth: (error) => logHealth(logger, error),
  })
  const { modelSilence = Infinity, toolSilence = Infinity, runSilence = Infinity } = config
  const manager = new SessionManager({
    store,
    agents: createAgents({
      sources,
      models: createModels({ env: variables, idleTimeoutMs: modelSilence }),
      variables,
      dataDir: join(dirname(config.sessionDb), 'quarterdeck-data'),
      patience: { modelMs: modelSilence, toolMs: toolSilence },
    }),
    maxConcurrentRuns: config.maxConcurrentRuns,
    runSilenceMs: runSilence,
    ringCapacity: config.ringCapacity,
    eventRetention: config.eventRetention,
    deltaRetentionMs: config.deltaRetention,
    sessionRetention: config.sessionRetention,
    idempotencyRetentionMs: config.idempotencyRetention,
    requestDeadlineMs: config.requestDeadline,
    recovery: config.recovery,
    recoveryAttempts: config.recoveryAttempts,
    workingDirRoot: config.sessionWorkingdirRoot,
    workingDir: config.workingDir,
    beforeRecovery: () => ownProcesses(config.sessionDb),
    onDefect: (err, place) => logger.error({ ...place, err }, 'a defect'),
  })
  const server = await buildServer(manager, {
    authToken: config.authToken,
    maxRequestSize: config.maxRequestSize,
    corsOrigins: config.corsOrigin,
    hosts: config.listen.kind === 'tcp' ? [config.listen.host] : [],
    onDisconnect: config.onDisconnect,
    sseMaxAgeMs: config.sseMaxAge,
    version,
    logger,
  })
  let closing: Promise<void> | undefined
  return {
    listen: async () => {
      const url = await listen(server, config.listen)
      logTakenUp(logger, await manager.start())
      // Reading them all takes its time, and nobody who is answered already shall wait for it.
      setImmediate(() => logAgents(logger, sources.list()))
      return url
    },
    close: () => {
      closing ??= (async () => {
        const cut = await manager.drain(Math.max(config.shutdownGrace - closingMs, 0))
        if (cut > 0) logger.warn({ runs: cut }, 'the grace period is over, and runs are cut in what they do')
        await server.close()
        await manager.close()
        await sources.close()
      })()
      return closing
    },
    failed: store.failed,
  }
}

/** One line for each time that nothing can be written, and one for its end. */
function logHealth(logger: Logger, error: string | undefined): void {
  if (error === undefined) logger.info('the database takes writes again, and the runs that were cut go on')
  else logger.warn(`${error}: it is tried again each second; until then runs are cut and requests that write get 503`)
}

/** One line for each agent file that cannot be used, and one when there is none at all. */
function logAgents(logger: Logger, agents: readonly AgentSummary[]): void {
  if (agents.length === 0) logger.warn('no agent files were found: every run is refused until there is one')
  for (const { name, error } of agents) {
    if (error !== undefined) logger.warn({ agent: name, error }, 'an agent file cannot be used')
  }
}

/** One line of what became of the runs that the process before has left, if there were any. */
function logTakenUp(logger: Logger, { exhausted, ...counts }: TakenUpRuns): void {
  const sum = Object.values(counts).reduce((one, other) => one + other, exhausted.length)
  if (sum === 0) return
  const told = { ...counts, exhausted: exhausted.length }
  if (exhausted.length === 0) logger.info(told, 'took up the runs that the process before has left')
  else {
    const sessions = exhausted.slice(0, mostNamed)
    logger.warn(
      { ...told, sessions },
      'took up the runs that the process before has left; those of these sessions were going on each time that a process died, and have failed',
    )
  }
}
