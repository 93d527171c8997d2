import type { FleetSession, Request, Run } from '../protocol/protocol.ts'
import { MemoryLog } from './memory-log.ts'
import type { Policy } from './retention.ts'
import type { Change, InputRecord, ItemRecord, SessionRecord } from './store.ts'

/** A change of what is on a shelf. */
export type ShelfChange = Exclude<Change, { kind: 'session.delete' | 'key.put' | 'fleet.append' }>

/** All that the memory store holds of one session. */
export class MemoryShelf {
  /** Rises with each session. */
  readonly num: number
  readonly log = new MemoryLog()
  readonly items = new Map<number, ItemRecord>()
  readonly runs = new Map<string, Run>()
  readonly inputs = new Map<string, InputRecord>()
  readonly requests = new Map<string, Request>()
  #record: SessionRecord
  #fleet: FleetSession | undefined

  constructor(record: SessionRecord, num: number) {
    this.num = num
    this.#record = record
  }

  get record(): SessionRecord {
    return this.#record
  }

  get fleet(): FleetSession | undefined {
    return this.#fleet
  }

  put(change: ShelfChange): void {
    switch (change.kind) {
      case 'session.put':
        this.#record = change.session
        return
      case 'item.put':
        this.items.set(change.item.position, change.item)
        return
      case 'run.put':
        this.runs.set(change.run.run_id, change.run)
        return
      case 'input.put':
        this.inputs.set(change.input.id, change.input)
        return
      case 'request.put':
        this.requests.set(change.request.id, change.request)
        return
      case 'fleet.put':
        this.#fleet = change.session
        return
      case 'events.append':
        this.log.append(change.segment, change.at)
    }
  }

  /** Removes old segments, but for those of a run that goes on. Answers how many. */
  retain(policy: Policy): number {
    const going = [...this.runs.values()].filter(({ status }) => status === 'running')
    return this.log.retain(policy, Math.min(...going.map(({ first_seq }) => first_seq)))
  }

  /** Removes what has ended before an instant, but the newest run and what waits. Answers how much. */
  forget(before: number): number {
    const isOld = (ended: string | undefined): boolean => ended !== undefined && Date.parse(ended) < before
    const newest = [...this.runs.keys()].at(-1)
    const gone = [
      remove(this.runs, ({ run_id, ended_at }) => run_id !== newest && isOld(ended_at)),
      remove(
        this.requests,
        ({ run_id, settled_at }) => this.runs.get(run_id)?.status !== 'running' && isOld(settled_at),
      ),
      remove(this.inputs, ({ state, created_at, settled_at = created_at }) => !waits(state) && isOld(settled_at)),
    ]
    return gone.reduce((sum, count) => sum + count)
  }
}

export function waits(state: InputRecord['state']): boolean {
  return state === 'queued' || state === 'held'
}

function remove<T>(map: Map<string, T>, isGone: (record: T) => boolean): number {
  const gone = [...map].filter(([, record]) => isGone(record))
  for (const [id] of gone) map.delete(id)
  return gone.length
}
