import type { ReadOptions } from '../../event-log/event-log.ts'
import { FleetEvent } from '../../protocol/protocol.ts'
import type { FleetFilter } from '../../store/store.ts'

export interface FleetReadOptions
  extends Omit<ReadOptions, 'where' | 'until'>,
    Pick<FleetFilter, 'session' | 'agent' | 'children'> {}

/** Which events a reader wants: of the sessions that the store's lists show, and those with which one leaves them. `undefined`: all. */
export function shownInFleet({
  session,
  agent,
  children = session !== undefined,
}: Pick<FleetFilter, 'session' | 'agent' | 'children'>): ((json: string) => boolean) | undefined {
  if (children && session === undefined && agent === undefined) return undefined
  const named = [session, agent].flatMap((name) => (name === undefined ? [] : JSON.stringify(name)))
  return (json) => {
    if (!children && isBelow(json)) return false
    if (named.length === 0) return true
    // Most events are about others, and to look for a name costs far less than to read the event.
    if (!named.every((name) => json.includes(name))) return false
    const { session: told, agent_before } = FleetEvent.parse(JSON.parse(json))
    return (
      (agent === undefined || told.agent === agent || agent_before === agent) &&
      (session === undefined || told.id === session || told.above?.includes(session) === true)
    )
  }
}

/** Whether an event is about a session with others above it. A quote inside a text is escaped, so this is the key. */
function isBelow(json: string): boolean {
  return json.includes(',"above":[')
}
