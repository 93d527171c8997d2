import { type ForeignEvent, Request } from '../../protocol/protocol.ts'

/**
 * The ends of what tasks have begun that a run waits for: each is told once, whoever comes to it first, and none whose beginning
 * was not told.
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
    return ends.filter(which).filter((event) => this.passes(event))
  }

  /** Whether an event from below is told: an end only the first time. */
  passes(event: ForeignEvent): boolean {
    const begun = beginningOf(event)
    if (begun !== undefined) this.#open.set(begun, undefined)
    const end = endOf(event)
    return end === undefined || this.#open.delete(end)
  }
}

function keyed<K, V>(key: K | undefined, value: V): readonly (readonly [K, V])[] {
  return key === undefined ? [] : [[key, value]]
}

/** What an event begins; nothing when it begins nothing. */
function beginningOf({ type, run_id, request }: ForeignEvent): string | undefined {
  if (type === 'stream_started') return `run ${String(run_id)}`
  return type === 'request_opened' ? `request ${Request.parse(request).id}` : undefined
}

/** What an event ends; nothing when it ends nothing. */
function endOf({ type, run_id, request }: ForeignEvent): string | undefined {
  if (type === 'stream_stopped') return `run ${String(run_id)}`
  return type === 'request_settled' ? `request ${Request.parse(request).id}` : undefined
}
