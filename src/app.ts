import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import { createAgentSources } from './agent-file/agent-file.ts'
import type { Config } from './config.ts'
import { createModels } from './models/models.ts'
import { createAgents } from './runtime/agents.ts'
import { buildServer, listen } from './server/server.ts'
import { SessionManager } from './session-manager/session-manager.ts'
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

/** Puts the rooms together: the only place that knows what is behind each door. */
export async function createApp(config: Config, { logger, variables }: Env): Promise<App> {
  const { source, pullInterval } = config
  const pullIntervalMinutes = pullInterval === undefined ? undefined : pullInterval / 60_000
  const sources = await createAgentSources({ source, env: variables, pullIntervalMinutes })
  const store = createSqliteStore({
    path: config.sessionDb,
    ownerWaitMs: config.ownerWait,
    onDamage: (damage) => logger.error({ damage }, 'a stored record cannot be read'),
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
    onDefect: (err) => logger.error({ err }, 'a defect'),
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
      await manager.start()
      return url
    },
    close: () => {
      closing ??= (async () => {
        await manager.drain(Math.max(config.shutdownGrace - closingMs, 0))
        await server.close()
        await manager.close()
        await sources.close()
      })()
      return closing
    },
    failed: store.failed,
  }
}
