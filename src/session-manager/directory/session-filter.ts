import type { SessionFilter, SessionRecord } from '../../store/store.ts'

/** Whether a loaded session is one that a list asks for; the same conditions as the store's lists. */
export function matches(record: SessionRecord, filter: SessionFilter): boolean {
  const { q, starred, agent, created_after, created_before } = filter
  const created = Date.parse(record.created_at)
  return (
    record.parent_id === undefined &&
    (q === undefined || record.title.toLowerCase().includes(q.toLowerCase())) &&
    (starred === undefined || record.starred === starred) &&
    (agent === undefined || record.agent?.source === agent) &&
    (created_after === undefined || created > Date.parse(created_after)) &&
    (created_before === undefined || created < Date.parse(created_before))
  )
}
