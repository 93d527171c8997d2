import type { SessionManager } from '../../session-manager/session-manager.ts'
import type { Handlers } from '../route.ts'

export const modelRoutes = (manager: SessionManager) =>
  ({
    listModels: ({ params }) => manager.availableSessionModels(params.id),
  }) satisfies Partial<Handlers>
