import type { SessionManager } from '../../session-manager/session-manager.ts'
import type { Handlers } from '../route.ts'

export const inputRoutes = (manager: SessionManager) =>
  ({
    steer: async ({ params, body }) => {
      await manager.steerSession(params.id, body.messages)
      return { status: 'queued' }
    },
    followUp: async ({ params, body, headers }) => {
      const key = String(headers['idempotency-key'] ?? '') || undefined
      const { streaming, duplicate } = await manager.followUpSession(params.id, body.messages, key)
      return { status: duplicate ? 'duplicate' : streaming ? 'queued_streaming' : 'queued_idle', duplicate }
    },
    getQueue: ({ params }) => manager.getQueue(params.id),
  }) satisfies Partial<Handlers>
