import { fleetLog } from '../../src/session-manager/fleet/fleet-view.ts'
import { surroundingsOf } from '../../src/session-manager/manager-options.ts'
import type { SessionManagerOptions } from '../../src/session-manager/session-manager.ts'
import type { SharedSurroundings } from '../../src/session-manager/state/surroundings.ts'
import type { Store } from '../../src/store/store.ts'
import { TestAgents } from './test-agents.ts'

/** What sessions share in a process that takes nothing up by itself and keeps little in memory. */
export function sharedSurroundings(store: Store, options: Partial<SessionManagerOptions> = {}): SharedSurroundings {
  const quiet = { recovery: 'interrupt', recoveryDelayMs: 0, ringCapacity: 4, runSilenceMs: Infinity } as const
  return surroundingsOf({ store, agents: new TestAgents({}), ...quiet, ...options }, fleetLog(store), () => 'ready')
}
