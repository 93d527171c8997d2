import type { SessionManager } from '../../session-manager/session-manager.ts'
import { mutation } from '../mutation.ts'
import type { Handlers } from '../route.ts'

export const settingRoutes = (manager: SessionManager) =>
  ({
    toggleApproval: mutation(
      ({ params }) => manager.toggleToolApproval(params.id),
      () => null,
    ),
    setSafetyPolicy: mutation(
      ({ params, body }) => manager.setSessionSafetyPolicy(params.id, body.safety_policy),
      () => ({ message: 'session safety policy updated' }),
    ),
    setPermissions: mutation(
      ({ params, body }) => manager.updateSessionPermissions(params.id, body.permissions),
      () => ({ message: 'session permissions updated' }),
    ),
    setTitle: mutation(
      ({ params, body }) => manager.updateSessionTitle(params.id, body.title),
      (_, { params, body }) => ({ id: params.id, title: body.title }),
    ),
    setTokens: mutation(
      ({ params, body }) => manager.updateSessionTokens(params.id, body),
      () => ({ status: 'updated' }),
    ),
    setRequestDeadline: mutation(
      ({ params, body }) => manager.setSessionRequestDeadline(params.id, body.request_deadline),
      () => ({ message: 'session request deadline updated' }),
    ),
    setBudget: mutation(
      ({ params, body }) => manager.updateSessionBudget(params.id, body),
      (state) => state,
    ),
    setRecovery: mutation(
      ({ params, body }) => manager.setSessionRecovery(params.id, body.recovery),
      () => ({ status: 'updated' }),
    ),
    setStarred: mutation(
      ({ params, body }) => manager.setSessionStarred(params.id, body.starred),
      () => ({ status: 'updated' }),
    ),
  }) satisfies Partial<Handlers>
