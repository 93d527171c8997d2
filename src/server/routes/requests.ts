import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import type { Handlers } from '../route.ts'

export const requestRoutes = (manager: SessionManager) =>
  ({
    listRequests: async ({ params, query, url, reply }) => {
      const { entries, next } = await manager.findSessionRequests(params.id, query)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return entries
    },
    listInbox: ({ query, url, reply }) => {
      const { entries, next } = manager.findRequests(query)
      if (next !== undefined) reply.header('link', nextLink(url, next))
      return entries
    },
    getRequest: ({ params }) => manager.getRequest(params.id, params.request_id),
    answerRequest: ({ params, body }) => manager.answerRequest(params.id, params.request_id, body),
    resume: async ({ params, body }) => {
      await manager.resumeSession(params.id, body)
      return { message: 'session resumed' }
    },
    answerElicitation: async ({ params, body }) => {
      await manager.resumeElicitation(params.id, body)
      return null
    },
  }) satisfies Partial<Handlers>
