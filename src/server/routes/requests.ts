import type { SessionManager } from '../../session-manager/session-manager.ts'
import type { Handlers } from '../route.ts'

export const requestRoutes = (manager: SessionManager) =>
  ({
    listRequests: ({ params }) => manager.getRequests(params.id),
    resume: async ({ params, body }) => {
      await manager.resumeSession(params.id, body)
      return { message: 'session resumed' }
    },
    answerElicitation: async ({ params, body }) => {
      await manager.resumeElicitation(params.id, body)
      return null
    },
  }) satisfies Partial<Handlers>
