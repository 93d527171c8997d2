import type { SessionManager } from '../../session-manager/session-manager.ts'
import { mutation } from '../mutation.ts'
import type { Handlers } from '../route.ts'

export const inputRoutes = (manager: SessionManager) =>
  ({
    steer: mutation(
      ({ params, body }) => manager.steerSession(params.id, body.messages),
      () => ({ status: 'queued' }),
    ),
    followUp: mutation(
      ({ params, body }) => manager.followUpSession(params.id, body.messages),
      ({ streaming }, _, isRepeat) => {
        if (isRepeat) return { status: 'duplicate', duplicate: true }
        return { status: streaming ? 'queued_streaming' : 'queued_idle', duplicate: false }
      },
    ),
    getQueue: ({ params }) => manager.getQueue(params.id),
  }) satisfies Partial<Handlers>
