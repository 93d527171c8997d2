import type { SessionManager } from '../../session-manager/session-manager.ts'
import type { Handlers } from '../route.ts'

export const settingRoutes = (manager: SessionManager) =>
  ({
    toggleApproval: async ({ params }) => {
      await manager.toggleToolApproval(params.id)
      return null
    },
    setSafetyPolicy: async ({ params, body }) => {
      await manager.setSessionSafetyPolicy(params.id, body.safety_policy)
      return { message: 'session safety policy updated' }
    },
    setPermissions: async ({ params, body }) => {
      await manager.updateSessionPermissions(params.id, body.permissions)
      return { message: 'session permissions updated' }
    },
    setTitle: async ({ params, body }) => {
      await manager.updateSessionTitle(params.id, body.title)
      return { id: params.id, title: body.title }
    },
    setTokens: async ({ params, body }) => {
      await manager.updateSessionTokens(params.id, body)
      return { status: 'updated' }
    },
    setRequestDeadline: async ({ params, body }) => {
      await manager.setSessionRequestDeadline(params.id, body.request_deadline)
      return { message: 'session request deadline updated' }
    },
    setBudget: ({ params, body }) => manager.updateSessionBudget(params.id, body),
    setRecovery: async ({ params, body }) => {
      await manager.setSessionRecovery(params.id, body.recovery)
      return { status: 'updated' }
    },
    setStarred: async ({ params, body }) => {
      await manager.setSessionStarred(params.id, body.starred)
      return { status: 'updated' }
    },
  }) satisfies Partial<Handlers>
