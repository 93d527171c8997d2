import { type ForeignEvent, Request } from '../../protocol/protocol.ts'

/**
 * The ends of what tasks have begun that a run waits for: each is told once, whoever comes to it first, and none whose beginning
 * was not told. Sessions commit one by one, so a crash may have kept a beginning from the log above only.
 */
export class EndsBelow {
  /** What has begun and not ended, with its end as it must be told where that is known. */
  readonly #open: Map<string, ForeignEvent | undefined>

  /** `open`: the ends of what had begun and not ended when a former process left the run. */
  constructor(open: readonly ForeignEvent[]) {
    this.#open = new Map(open.flatMap((event) => keyed(endOf(event), event)))
  }

  /** Those that nobody has told; from now on they are. */
  take(which: (event: ForeignEvent) => boolean): readonly ForeignEvent[] {
    const ends = [...this.#open.values()].flatMap((event) => event ?? [])
    return ends.filter(which).flatMap((event) => this.told(event) ?? [])
  }

  /** An event from below as it is told, if it is: an end only the first time, and what goes on unknown to anybody as a beginning. */
  told(event: ForeignEvent): ForeignEvent | undefined {
    if (event.type === 'run_recovered' && !this.#open.has(nameOf(event))) return this.told(beginningFor(event))
    const begun = beginningOf(event)
    if (begun !== undefined) this.#open.set(begun, undefined)
    const end = endOf(event)
    return end === undefined || this.#open.delete(end) ? event : undefined
  }
}

function keyed<K, V>(key: K | undefined, value: V): readonly (readonly [K, V])[] {
  return key === undefined ? [] : [[key, value]]
}

/** What an event begins; nothing when it begins nothing. */
function beginningOf(event: ForeignEvent): string | undefined {
  if (event.type === 'stream_started') return nameOf(event)
  return event.type === 'request_opened' ? `request ${Request.parse(event.request).id}` : undefined
}

/** What an event ends; nothing when it ends nothing. */
function endOf(event: ForeignEvent): string | undefined {
  if (event.type === 'stream_stopped') return nameOf(event)
  return event.type === 'request_settled' ? `request ${Request.parse(event.request).id}` : undefined
}

/** The run that an event is about. */
function nameOf({ run_id }: ForeignEvent): string {
  return `run ${String(run_id)}`
}

function beginningFor({ agent_name, session_id, run_id, root_run_id, timestamp }: ForeignEvent): ForeignEvent {
  return { type: 'stream_started', agent_name, session_id, run_id, root_run_id, timestamp }
}
