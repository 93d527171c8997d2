import { type Logger, pino } from 'pino'
import { type App, createApp } from './app.ts'
import { parseCommandLine } from './command-line.ts'
import { type Config, UsageError } from './config.ts'
import { readEnvFiles } from './env-file.ts'
import { firstAgent, tryLine } from './try-line.ts'

/** Bytes of lines that wait while the log cannot be written; what comes after them is lost. */
const mostUnwritten = 1024 * 1024

/** How the process ends; a second signal ends it as the shell counts signals: 128 and the signal's number. */
const exitCode = { clean: 0, failure: 1, usage: 2, SIGINT: 130, SIGTERM: 143, store: 70 } as const

/** npm hands a signal on to its script, which has it from the terminal already: one key press arrives twice. */
const echo = 1000

/** What an orderly end may take beyond the grace period before the process is ended anyway. */
const overtime = 4000

await main()

async function main(): Promise<void> {
  // A reader that leaves, as in `quarterdeck serve | head -1`, is no reason to end.
  process.stdout.on('error', () => {})
  try {
    const command = parseCommandLine(process.argv.slice(2), process.env)
    if (command.kind === 'serve') await serve(command.config)
    else console.log(command.text)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(`quarterdeck: ${error.message}`)
    process.exitCode = exitCode.usage
  }
}

async function serve(config: Config): Promise<void> {
  const log = pino.destination({ dest: 2, sync: true, maxLength: mostUnwritten })
  // The log may lie on the disk that is full: its lines wait until there is room, and the server goes on.
  log.on('error', () => {})
  const logger = pino({ level: config.logLevel, base: null }, log)
  endOnDefect(logger)
  let app: App | undefined
  const stopping = endOnSignal(() => (app ? stop(app, config, logger) : Promise.resolve()))
  try {
    app = await createApp(config, { logger, variables: agentVariables(config) })
    app.failed.then(lose, lose)
    const url = await app.listen()
    if (!stopping()) greet(url, config)
  } catch (error) {
    if (stopping()) return
    logger.debug({ err: error }, 'the start failed')
    console.error(`quarterdeck: ${error instanceof Error ? error.message : error}`)
    process.exit(exitCode.failure)
  }

  function lose(error: unknown): void {
    logger.fatal({ err: error }, 'the database cannot be trusted any more, so the process ends with code 70')
    process.exit(exitCode.store)
  }
}

/** What agents and their models may see of the environment: everything but the key to this server. */
function agentVariables(config: Config): Readonly<Record<string, string | undefined>> {
  const { QUARTERDECK_AUTH_TOKEN: _, ...variables } = process.env
  return { ...variables, ...readEnvFiles(config.envFromFile) }
}

function greet(url: string, config: Config): void {
  console.log(`quarterdeck listens on ${url}`)
  const agent = firstAgent(config.source)
  const line = agent === undefined ? undefined : tryLine(url, agent, config.authToken !== undefined)
  if (line !== undefined) console.log(line)
}

async function stop(app: App, config: Config, logger: Logger): Promise<void> {
  logger.info('closing')
  const late = setTimeout(() => {
    logger.error('the server did not close in time and ends with code 1; the next process goes on with its runs')
    process.exit(exitCode.failure)
  }, config.shutdownGrace + overtime)
  await app.close()
  clearTimeout(late)
  logger.info('closed')
}

/** The first signal ends the process in order, a second one at once. Answers whether there has been one. */
function endOnSignal(stop: () => Promise<void>): () => boolean {
  let first: { readonly signal: string; readonly at: number } | undefined
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (first === undefined) {
        first = { signal, at: performance.now() }
        // A rejection is left to become an unhandled one: a defect, logged once.
        void stop().then(() => process.exit(exitCode.clean))
      } else if (signal !== first.signal || performance.now() - first.at > echo) {
        process.exit(exitCode[signal])
      }
    })
  }
  return () => first !== undefined
}

/** Nothing can be trusted after a defect that nobody caught: it is logged, once, and ends the process. */
function endOnDefect(logger: Logger): void {
  const end = (err: unknown): void => {
    logger.fatal({ err }, 'a defect ends the process')
    process.exit(exitCode.failure)
  }
  process.once('uncaughtException', end)
  process.once('unhandledRejection', end)
}
