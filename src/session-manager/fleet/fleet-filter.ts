import type { ReadOptions } from '../../event-log/event-log.ts'
import { FleetEvent } from '../../protocol/protocol.ts'
import type { FleetFilter } from '../../store/store.ts'

export interface FleetReadOptions
  extends Omit<ReadOptions, 'where' | 'until'>,
    Pick<FleetFilter, 'session' | 'agent' | 'children'> {}

/** Which events a reader wants: the same sessions as the store's lists show. `undefined`: all of them. */
export function shownInFleet({
  session,
  agent,
  children = session !== undefined,
}: Pick<FleetFilter, 'session' | 'agent' | 'children'>): ((json: string) => boolean) | undefined {
  if (children && session === undefined && agent === undefined) return undefined
  return (json) => {
    if (!children && isBelow(json)) return false
    if (agent === undefined && session === undefined) return true
    const told = FleetEvent.parse(JSON.parse(json)).session
    return (
      (agent === undefined || told.agent === agent) &&
      (session === undefined || told.id === session || told.above?.includes(session) === true)
    )
  }
}

/** Whether an event is about a session with others above it. A quote inside a text is escaped, so this is the key. */
function isBelow(json: string): boolean {
  return json.includes(',"above":[')
}
