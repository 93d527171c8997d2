import type { SessionManager } from '../../session-manager/session-manager.ts'
import { mutation } from '../mutation.ts'
import type { Handlers } from '../route.ts'

export const batchRoutes = (manager: SessionManager) =>
  ({
    batchDelete: mutation(
      ({ body }) => manager.batchDeleteSessions(body.session_ids),
      ({ failed_ids, ...counts }) => ({ ...counts, failed_ids: unlessEmpty(failed_ids) }),
    ),
    batchExport: async ({ body }) => {
      const { sessions, missing } = await manager.batchExportSessions(body.session_ids)
      return {
        export_format: 'json',
        timestamp: new Date().toISOString(),
        session_count: sessions.length,
        sessions,
        missing_ids: unlessEmpty(missing),
      }
    },
  }) satisfies Partial<Handlers>

function unlessEmpty(ids: readonly string[]): readonly string[] | undefined {
  return ids.length === 0 ? undefined : ids
}
