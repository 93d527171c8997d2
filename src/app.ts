import { accessSync } from 'node:fs'
import Fastify from 'fastify'
import type { Logger } from 'pino'
import { type Config, isUrl } from './config.ts'
import { listen } from './server/listen.ts'
import { version } from './version.ts'

/** What the process lends the application. */
export interface Env {
  readonly logger: Logger
  /** Environment variables as agents and their models see them. */
  readonly variables: Readonly<Record<string, string | undefined>>
}

/** The whole server. `close()` ends it in order within the grace period; twice is harmless. */
export interface App {
  /** Starts to listen and answers where. */
  listen(): Promise<string>
  close(): Promise<void>
  /** Resolves with the error after which the store cannot be trusted; otherwise never. */
  readonly failed: Promise<Error>
}

export async function createApp(config: Config, _env: Env): Promise<App> {
  if (!isUrl(config.source)) accessSync(config.source)
  const server = Fastify()
  server.get('/health', async () => ({ status: 'ok', version }))
  return {
    listen: () => listen(server, config.listen),
    close: () => server.close(),
    failed: new Promise(() => {}),
  }
}
