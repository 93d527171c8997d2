import { Refusal } from '../../protocol/protocol.ts'
import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import { mutation } from '../mutation.ts'
import type { Handlers } from '../route.ts'

export const sessionRoutes = (manager: SessionManager) =>
  ({
    listSessions: ({ query: { active, ...filter }, url, reply }) => {
      if (active === 'true') return manager.getActiveSessions(filter)
      const { entries, next } = manager.getSessions(filter)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return entries
    },
    createSession: mutation(
      ({ body }) => manager.createSession(body),
      (session) => session,
    ),
    getSession: ({ params, query }) => manager.getSession(params.id, query.messages),
    getSnapshot: ({ params, query }) => manager.getSessionSnapshot(params.id, query.messages),
    getStatus: async ({ params, query: { wait } }) => {
      if (wait === undefined || (await manager.waitSessionAttached(params.id, wait))) {
        return manager.getSessionStatus(params.id)
      }
      throw new Refusal('wait_timeout', 'session not ready within timeout')
    },
    explain: ({ params }) => manager.explainSession(params.id),
    deleteSession: mutation(
      ({ params }) => manager.deleteSession(params.id),
      async (_, { params, query: { wait, timeout }, reply }) => {
        const left = wait !== 'true' || (await manager.waitLeft(params.id, timeout))
        reply.code(left ? 200 : 202)
        return { message: left ? 'session deleted' : 'session deleted, stop still in progress' }
      },
    ),
    listChildren: ({ params }) => manager.getChildren(params.id),
    forkSession: mutation(
      ({ params, body }) => manager.forkSession(params.id, body.user_message_index),
      (fork) => fork,
    ),
    getRecovery: ({ params }) => manager.exportSessionForRecovery(params.id),
  }) satisfies Partial<Handlers>
