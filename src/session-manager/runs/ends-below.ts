import { type ForeignEvent, Request } from '../../protocol/protocol.ts'

/** The ends of what tasks have begun that a run waits for: each is told once, whoever comes to it first. */
export class EndsBelow {
  readonly #open: Map<string | undefined, ForeignEvent>
  readonly #told = new Set<string>()

  /** `open`: what had begun and not ended when a former process left the run. */
  constructor(open: readonly ForeignEvent[]) {
    this.#open = new Map(open.map((event) => [endOf(event), event]))
  }

  /** Those that nobody has told; from now on they are. */
  take(which: (event: ForeignEvent) => boolean): readonly ForeignEvent[] {
    return [...this.#open.values()].filter(which).filter((event) => this.passes(event))
  }

  /** Whether an event from below is told: an end only the first time. */
  passes(event: ForeignEvent): boolean {
    const end = endOf(event)
    if (end === undefined) return true
    if (this.#told.has(end)) return false
    this.#told.add(end)
    this.#open.delete(end)
    return true
  }
}

/** What an event ends; nothing when it ends nothing. */
function endOf({ type, run_id, request }: ForeignEvent): string | undefined {
  if (type === 'stream_stopped') return `run ${String(run_id)}`
  return type === 'request_settled' ? `request ${Request.parse(request).id}` : undefined
}
