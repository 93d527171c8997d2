import { Refusal } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { openApiDocument } from '../openapi.ts'
import type { Handlers } from '../route.ts'

export const healthRoutes = (manager: SessionManager, version: string) => {
  let document: ReturnType<typeof openApiDocument> | undefined
  return {
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
    openApi: () => {
      document ??= openApiDocument(version)
      return document
    },
  } satisfies Partial<Handlers>
}
