import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import { mutation } from '../mutation.ts'
import type { Handlers } from '../route.ts'

export const messageRoutes = (manager: SessionManager) =>
  ({
    listMessages: async ({ params, query: { limit, cursor }, url, reply }) => {
      const { messages, next } = await manager.getMessages(params.id, { limit, from: cursor })
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return messages
    },
    addMessage: mutation(
      ({ params, body }) => manager.addMessage(params.id, body.message),
      (message_id) => ({ status: 'added', message_id }),
    ),
    updateMessage: mutation(
      ({ params, body }) => manager.updateMessage(params.id, params.msg_id, body.message),
      () => ({ status: 'updated' }),
    ),
    addSummary: mutation(
      ({ params, body }) => manager.addSummary(params.id, body),
      () => ({ status: 'added' }),
    ),
  }) satisfies Partial<Handlers>
