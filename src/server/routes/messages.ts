import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import type { Handlers } from '../route.ts'

export const messageRoutes = (manager: SessionManager) =>
  ({
    listMessages: async ({ params, query: { limit, cursor }, url, reply }) => {
      const { messages, next } = await manager.getMessages(params.id, { limit, from: cursor })
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return messages
    },
    addMessage: async ({ params, body }) => ({
      status: 'added',
      message_id: await manager.addMessage(params.id, body.message),
    }),
    updateMessage: async ({ params, body }) => {
      await manager.updateMessage(params.id, params.msg_id, body.message)
      return { status: 'updated' }
    },
    addSummary: async ({ params, body }) => {
      await manager.addSummary(params.id, body)
      return { status: 'added' }
    },
  }) satisfies Partial<Handlers>
