import type { SessionManager } from '../../session-manager/session-manager.ts'
import { nextLink } from '../link.ts'
import { mutation } from '../mutation.ts'
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
    answerRequest: mutation(
      ({ params, body }) => manager.answerRequest(params.id, params.request_id, body),
      (request) => request,
    ),
    resume: mutation(
      ({ params, body }) => manager.resumeSession(params.id, body),
      () => ({ message: 'session resumed' }),
    ),
    answerElicitation: mutation(
      ({ params, body }) => manager.resumeElicitation(params.id, body),
      () => null,
    ),
  }) satisfies Partial<Handlers>
