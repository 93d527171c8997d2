import { setImmediate as giveWay } from 'node:timers/promises'
import type { FleetSession } from '../../protocol/protocol.ts'
import type { Store } from '../../store/store.ts'

/** A root session with all below it, as far as is told of them. */
interface Family extends StaleSession {
  lastUsed: number
  isNeeded: boolean
}

export interface StaleSession {
  readonly id: string
  /** The last activity of it and all below it, in milliseconds since 1970. */
  readonly lastUsed: number
}

interface StaleSessionsOptions {
  /** Milliseconds since 1970. */
  readonly before: number
  readonly newest: number | undefined
  readonly signal: AbortSignal
}

/** Root sessions that nobody has used since, or that are more than the newest so many; those used longest ago first. */
export async function staleSessions(
  store: Store,
  { before, newest = Number.POSITIVE_INFINITY, signal }: StaleSessionsOptions,
): Promise<readonly StaleSession[]> {
  const families = new Map<string, Family>()
  let cursor: string | undefined
  do {
    const { entries, next } = store.fleetSessions({ children: true, limit: 256, cursor })
    for (const session of entries) note(families, session)
    cursor = next
    await giveWay()
  } while (cursor !== undefined && !signal.aborted)
  return [...families.values()]
    .sort((a, b) => b.lastUsed - a.lastUsed)
    .filter(({ lastUsed, isNeeded }, place) => !isNeeded && (lastUsed < before || place >= newest))
    .reverse()
}

function note(families: Map<string, Family>, session: FleetSession): void {
  const id = session.above?.[0] ?? session.id
  const family = families.get(id) ?? { id, lastUsed: 0, isNeeded: false }
  family.lastUsed = Math.max(family.lastUsed, Date.parse(session.updated_at))
  if (isNeeded(session)) family.isNeeded = true
  families.set(id, family)
}

/** It runs, somebody is asked, or somebody wants to keep it. */
export function isNeeded({ status, open_requests, starred }: FleetSession): boolean {
  return starred || open_requests.length > 0 || status === 'running' || status === 'waiting_for_person'
}
