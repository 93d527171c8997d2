import { Refusal } from '../../src/protocol/protocol.ts'
import type { Store } from '../../src/store/store.ts'

/** What is wrong with a store: it cannot commit, it is full, whatever is asked of it meets a defect, or its sessions cannot be read. */
export type Fault = 'unavailable' | 'full' | 'defect' | 'damaged'

const reads = new Set<PropertyKey>([
  'session',
  'sessions',
  'run',
  'runs',
  'items',
  'request',
  'findRequests',
  'fleetBounds',
  'fleetSessions',
])

function refuseDamaged(): never {
  throw new Refusal('session_damaged')
}

/** A store that works until a test breaks it, and again when it is broken no more. */
export function breakable(inner: Store): { readonly store: Store; break(fault: Fault | undefined): void } {
  let fault: Fault | undefined
  const store = new Proxy(inner, {
    get: (target, key) => {
      if (fault === 'defect' && reads.has(key)) throw new Error('the disk is on fire at /secret/place')
      if (fault === 'defect' && key === 'write') return () => Promise.reject(new Error('the disk is on fire'))
      if (fault === 'damaged' && key === 'session') return refuseDamaged
      if (fault === 'unavailable' && key === 'write') return () => Promise.reject(new Refusal('store_unavailable'))
      if (fault === 'full' && key === 'pressure') return new Promise(() => {})
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return {
    store,
    break: (next) => {
      fault = next
    },
  }
}
