import { Refusal } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { openApiDocument } from '../openapi.ts'
import type { Handlers } from '../route.ts'

export const healthRoutes = (manager: SessionManager, version: string) =>
  ({
    health: () => ({ status: 'ok', version }),
    ready: ({ reply }) => {
      const { phase: _, ...readiness } = manager.readiness
      reply.code(readiness.ready ? 200 : 503)
      return readiness
    },
    ping: () => ({ status: 'ok' }),
    apiReady: async ({ query }) => {
      if (await manager.waitReady(query.timeout)) return { status: 'ready' }
      throw new Refusal('wait_timeout', 'no sessions registered within timeout')
    },
    openApi: () => openApiDocument(version),
  }) satisfies Partial<Handlers>
