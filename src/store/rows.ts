import type { Change, Group } from './store.ts'

export type Value = string | number | null

/** A change as the writer carries it out: the statement of its kind, and what to bind. */
export interface Row {
  readonly kind: Change['kind']
  readonly values: readonly Value[]
}

const session = '(SELECT num FROM sessions WHERE id = ?)'

/** A group whose session is not there fails: every table but the keys' wants its number. */
export const statements: Readonly<Record<Change['kind'], string>> = {
  'session.put': `
    INSERT INTO sessions (id, created, title, folded_title, starred, agent, parent_id, record, fleet)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET created = excluded.created, title = excluded.title,
      folded_title = excluded.folded_title, starred = excluded.starred, agent = excluded.agent,
      parent_id = excluded.parent_id, record = excluded.record, fleet = coalesce(excluded.fleet, fleet)`,
  'session.delete': `
    WITH RECURSIVE gone (id) AS (VALUES (?) UNION SELECT sessions.id FROM sessions JOIN gone ON parent_id = gone.id)
    DELETE FROM sessions WHERE id IN (SELECT id FROM gone)`,
  'item.put': `
    INSERT INTO items (session, position, id, body) VALUES (${session}, ?, ?, ?)
    ON CONFLICT (session, position) DO UPDATE SET id = excluded.id, body = excluded.body`,
  'run.put': `
    INSERT INTO runs (session, id, first_seq, status, record) VALUES (${session}, ?, ?, ?, ?)
    ON CONFLICT (session, id) DO UPDATE SET first_seq = excluded.first_seq, status = excluded.status, record = excluded.record`,
  'input.put': `
    INSERT INTO inputs (session, id, state, record) VALUES (${session}, ?, ?, ?)
    ON CONFLICT (session, id) DO UPDATE SET state = excluded.state, record = excluded.record`,
  'request.put': `
    INSERT INTO requests (session, id, state, created, kind, record) VALUES (${session}, ?, ?, ?, ?, ?)
    ON CONFLICT (session, id) DO UPDATE SET state = excluded.state, created = excluded.created, kind = excluded.kind,
      record = excluded.record`,
  'key.put': `
    INSERT INTO idempotency_keys (scope, key, created, record) VALUES (?, ?, ?, ?)
    ON CONFLICT (scope, key) DO UPDATE SET created = excluded.created, record = excluded.record`,
  'events.append': `INSERT INTO events (session, first, last, at, text) VALUES (${session}, ?, ?, ?, ?)`,
  'fleet.put': 'UPDATE sessions SET fleet = ? WHERE id = ?',
  'fleet.append': `INSERT INTO fleet_events (session, at, text) VALUES (${session}, ?, ?)`,
}

/** Writes a group down as it is now: what its owner changes later does not show. */
export function rowsOf(group: Group): readonly Row[] {
  const joint = jointOf(group.changes)
  const rows = joint === undefined ? group.changes : group.changes.filter((change) => change !== joint)
  return rows.map((change) => ({ kind: change.kind, values: valuesOf(group.session_id, change, joint) }))
}

/** The way a session is shown, where it can be written with the session: a row that is written once costs half. */
function jointOf(changes: readonly Change[]): Change | undefined {
  const about = changes.filter(
    ({ kind }) => kind === 'session.put' || kind === 'session.delete' || kind === 'fleet.put',
  )
  const [first, second] = about
  return about.length === 2 && first?.kind === 'session.put' && second?.kind === 'fleet.put' ? second : undefined
}

/** How much the rows are, in UTF-16 units: near enough to bytes for a limit. */
export function sizeOf(rows: readonly Row[]): number {
  let size = 0
  for (const { values } of rows) for (const value of values) size += typeof value === 'string' ? value.length : 8
  return size
}

function valuesOf(id: string, change: Change, joint: Change | undefined): readonly Value[] {
  switch (change.kind) {
    case 'session.put': {
      const { session } = change
      return [
        id,
        Date.parse(session.created_at),
        session.title,
        fold(session.title),
        Number(session.starred),
        session.agent?.source ?? null,
        session.parent_id ?? null,
        JSON.stringify(session),
        joint?.kind === 'fleet.put' ? JSON.stringify(joint.session) : null,
      ]
    }
    case 'session.delete':
      return [id]
    case 'item.put':
      return [id, change.item.position, change.item.id, JSON.stringify(change.item.body)]
    case 'run.put':
      return [id, change.run.run_id, change.run.first_seq, change.run.status, JSON.stringify(change.run)]
    case 'input.put':
      return [id, change.input.id, change.input.state, JSON.stringify(change.input)]
    case 'request.put': {
      const { request } = change
      const created = Date.parse(request.created_at)
      return [id, request.id, request.state, created, request.content.kind, JSON.stringify(request)]
    }
    case 'key.put':
      return [change.key.scope, change.key.key, Date.parse(change.key.created_at), JSON.stringify(change.key)]
    case 'events.append':
      return [id, change.segment.first, change.segment.last, Date.parse(change.at), change.segment.text]
    case 'fleet.put':
      return [JSON.stringify(change.session), id]
    case 'fleet.append':
      return [id, Date.parse(change.event.timestamp), JSON.stringify(change.event)]
  }
}

/** Text as searches compare it. */
export function fold(text: string): string {
  return text.toLowerCase()
}
