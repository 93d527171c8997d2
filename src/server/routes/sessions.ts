import { Refusal } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import type { Handlers } from '../route.ts'

export const sessionRoutes = (manager: SessionManager) =>
  ({
    listSessions: ({ query: { active, ...filter }, url, reply }) => {
      if (active === 'true') return manager.getActiveSessions(filter)
      const { entries, next } = manager.getSessions(filter)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return entries
    },
    createSession: ({ body }) => manager.createSession(body),
    getSession: ({ params, query }) => manager.getSession(params.id, query.messages),
    getSnapshot: ({ params, query }) => manager.getSessionSnapshot(params.id, query.messages),
    getStatus: async ({ params, query: { wait } }) => {
      if (wait === undefined || (await manager.waitSessionAttached(params.id, wait))) {
        return manager.getSessionStatus(params.id)
      }
      throw new Refusal('wait_timeout', 'session not ready within timeout')
    },
    explain: ({ params }) => manager.explainSession(params.id),
    deleteSession: async ({ params, query: { wait, timeout }, reply }) => {
      const { left } = await manager.deleteSession(params.id, wait === 'true' ? timeout : undefined)
      reply.code(left ? 200 : 202)
      return { message: left ? 'session deleted' : 'session deleted, stop still in progress' }
    },
    listChildren: ({ params }) => manager.getChildren(params.id),
    forkSession: ({ params, body }) => manager.forkSession(params.id, body.user_message_index),
    getRecovery: ({ params }) => manager.exportSessionForRecovery(params.id),
  }) satisfies Partial<Handlers>
