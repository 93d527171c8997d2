import cors from '@fastify/cors'
import { fastifySSE } from '@fastify/sse'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { type EndpointName, endpointNames, endpoints, type OnDisconnect, Refusal } from '../protocol/protocol.ts'
import type { SessionManager } from '../session-manager/session-manager.ts'
import { bearerCheck, isProbe } from './auth.ts'
import { readBodies } from './body.ts'
import { answerClientError } from './client-error.ts'
import { Mutations, replayedHeader } from './mutation.ts'
import { originGuard } from './origin-guard.ts'
import { refuseRoute, sendProblem, shapeErrors } from './problem.ts'
import { requestIdHeader, requestIdOf } from './request-id.ts'
import { addRoute, type Handlers } from './route.ts'
import { agentRoutes } from './routes/agents.ts'
import { batchRoutes } from './routes/batch.ts'
import { eventRoutes } from './routes/events.ts'
import { fleetRoutes } from './routes/fleet.ts'
import { healthRoutes } from './routes/health.ts'
import { inputRoutes } from './routes/inputs.ts'
import { messageRoutes } from './routes/messages.ts'
import { modelRoutes } from './routes/models.ts'
import { requestRoutes } from './routes/requests.ts'
import { runRoutes } from './routes/runs.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { settingRoutes } from './routes/settings.ts'
import { EventStreams } from './sse.ts'

export interface ServerOptions {
  /** What `/health` says. */
  readonly version: string
  /** What every request but probes must bear. Without it the server is for this machine: see {@link originGuard}. */
  readonly authToken?: string | undefined
  /** Bytes of a body; 1 MiB when nothing is said. */
  readonly maxRequestSize?: number | undefined
  /** Origins of browsers that may call, besides the server's own. */
  readonly corsOrigins?: readonly string[] | undefined
  /** Host names and addresses that the server is known by, besides loopback; only asked for without a token. */
  readonly hosts?: readonly string[] | undefined
  /** What becomes of a run when its client leaves and has not said; `cancel` when nothing is said. */
  readonly onDisconnect?: OnDisconnect | undefined
  /** Age at which a stream is closed politely, in milliseconds; never when nothing is said. */
  readonly sseMaxAgeMs?: number | undefined
  /** Milliseconds between two pings of a stream; 15 s when nothing is said. */
  readonly heartbeatMs?: number | undefined
  /** Milliseconds that answers under way have to end when the server closes; 1 s when nothing is said. */
  readonly closeGraceMs?: number | undefined
  /** Is told of defects; requests are not logged. */
  readonly logger?: FastifyBaseLogger | undefined
}

/**
 * A server for a manager that somebody else owns, starts and closes. Until that has started, and while the server closes,
 * all but the probes is refused. `close()` ends streams between two frames and hangs up on everybody within the grace.
 */
export async function buildServer(manager: SessionManager, options: ServerOptions): Promise<FastifyInstance> {
  const app = createApplication(options)
  const streams = new EventStreams({ heartbeatMs: options.heartbeatMs ?? 15_000, maxAgeMs: options.sseMaxAgeMs })
  readBodies(app)
  shapeErrors(app)
  await addGates(app, manager, options)
  await app.register(fastifySSE)
  addRoutes(app, { streams, mutations: new Mutations(manager, options.authToken) }, handlersOf(manager, options))
  endInOrder(app, streams, options.closeGraceMs ?? 1000)
  return app
}

function createApplication({ logger, maxRequestSize = 1024 * 1024 }: ServerOptions): FastifyInstance {
  return Fastify({
    ...(logger === undefined ? {} : { loggerInstance: logger }),
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestIdOf,
    bodyLimit: maxRequestSize,
    // A request must have arrived by then; answers may take as long as they like.
    requestTimeout: 60_000,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // A source that is a URL is its own key.
    routerOptions: { maxParamLength: 4096 },
    frameworkErrors: sendProblem,
    clientErrorHandler: answerClientError,
  })
}

/** What a request must pass before its route, in this order, and before its body is read. */
async function addGates(app: FastifyInstance, manager: SessionManager, options: ServerOptions): Promise<void> {
  const { authToken, corsOrigins = [], hosts = [] } = options
  app.addHook('onRequest', async (request, reply) => {
    reply.header(requestIdHeader, request.id).header('cache-control', 'no-store')
  })
  if (authToken === undefined) {
    const check = originGuard({ server: app.server, hosts, origins: corsOrigins })
    app.addHook('onRequest', async (request) => check(request))
  }
  if (corsOrigins.length > 0) await app.register(cors, corsOptions(corsOrigins))
  if (authToken !== undefined) {
    const check = bearerCheck(authToken)
    app.addHook('onRequest', async (request) => {
      if (!isProbe(request)) check(request)
    })
  }
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  app.addHook('onRequest', async (request, reply) => {
    if (isProbe(request)) return
    if (request.is404) refuseRoute(request, reply)
    if (isClosing) throw new Refusal('shutting_down', undefined, { retryAfter: 1 })
    if (manager.phase === 'starting') throw new Refusal('starting', undefined, { retryAfter: 1 })
  })
}

function corsOptions(origins: readonly string[]) {
  return {
    origin: [...origins],
    methods: [...new Set(Object.values(endpoints).map(({ method }) => method))],
    exposedHeaders: [requestIdHeader, replayedHeader, 'link', 'retry-after'],
    strictPreflight: false,
  }
}

function handlersOf(manager: SessionManager, { version, onDisconnect = 'cancel', authToken }: ServerOptions): Handlers {
  return {
    ...healthRoutes(manager, version),
    ...agentRoutes(manager),
    ...sessionRoutes(manager),
    ...batchRoutes(manager),
    ...runRoutes(manager, { onDisconnect, isGuarded: authToken !== undefined }),
    ...eventRoutes(manager),
    ...fleetRoutes(manager),
    ...inputRoutes(manager, { isGuarded: authToken !== undefined }),
    ...requestRoutes(manager),
    ...settingRoutes(manager),
    ...modelRoutes(manager),
    ...messageRoutes(manager),
  }
}

function addRoutes(app: FastifyInstance, means: Parameters<typeof addRoute>[1], handlers: Handlers): void {
  const add = <Name extends EndpointName>(name: Name): void =>
    addRoute<(typeof endpoints)[Name]>(app, means, endpoints[name], handlers[name])
  for (const name of endpointNames) add(name)
}

/** A connection that never sent a request would hold `close()` for ever, and so would a reader that does not read. */
function endInOrder(app: FastifyInstance, streams: EventStreams, graceMs: number): void {
  let hangUp: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    streams.end()
    hangUp = setTimeout(() => app.server.closeAllConnections(), graceMs)
  })
  app.addHook('onClose', async () => clearTimeout(hangUp))
}

export { bearerCheck as bearerToken } from './auth.ts'
export { isLoopback, type ListenAddress, ListenError, listen, parseListenAddress } from './listen.ts'
