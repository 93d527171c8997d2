import { AsyncLocalStorage } from 'node:async_hooks'
import { Refusal } from '../protocol/protocol.ts'
import type { KeyRecord, Store } from '../store/store.ts'

/** A command that its client may repeat: where its key holds, the key, and what tells it from other commands under that key. */
export interface KeyedCommand {
  readonly scope: string
  readonly key: string
  readonly fingerprint: string
}

/** What a command decided, and whether that was when it came before. */
export interface Decided<T> {
  readonly outcome: T
  readonly isRepeat: boolean
}

const dayMs = 24 * 60 * 60_000

/**
 * The commands that are repeated with a key. What was done under a key is not done again; what it decided is kept with the
 * key, in the commit of its effect, and outlives the session. An effect that fails or is refused leaves its key free.
 */
export class Idempotency {
  readonly #store: Store
  readonly #lifeMs: number
  readonly #underWay = new Map<string, Promise<unknown>>()

  /** Keys are forgotten after so many milliseconds; a day when nothing is said. */
  constructor(store: Store, lifeMs: number = dayMs) {
    this.#store = store
    this.#lifeMs = lifeMs
  }

  /**
   * Has an effect once: at once when nobody uses the key, else after whoever does. What the effect answers is JSON, the
   * same as it tells its recorder with `decided`. Throws `Refusal('idempotency_mismatch')` for another fingerprint.
   */
  async once<T>(command: KeyedCommand, effect: () => Promise<T>): Promise<Decided<T>> {
    const name = JSON.stringify([command.scope, command.key])
    for (let first = this.#underWay.get(name); first !== undefined; first = this.#underWay.get(name)) {
      await first.catch(() => {})
    }
    const known = this.#find(command)
    if (known !== undefined) {
      if (known.fingerprint !== command.fingerprint) throw new Refusal('idempotency_mismatch')
      return { outcome: outcomeOf<T>(known), isRepeat: true }
    }
    const had = this.#have(command, effect)
    this.#underWay.set(name, had)
    try {
      return { outcome: await had, isRepeat: false }
    } finally {
      this.#underWay.delete(name)
    }
  }

  /** Has a part of an effect that takes several commits: when the whole is repeated, what was done of it is not done again. */
  async part<T>(name: string, effect: () => Promise<T>): Promise<T> {
    const whole = carried.getStore()?.command
    if (whole === undefined) return effect()
    const scope = JSON.stringify([whole.scope, whole.key])
    return (await this.once({ scope, key: name, fingerprint: whole.fingerprint }, effect)).outcome
  }

  async #have<T>(command: KeyedCommand, effect: () => Promise<T>): Promise<T> {
    const pending = new PendingKey(command)
    try {
      const outcome = await carried.run(pending, effect)
      // What no single session decided has its key after its effect.
      const key = pending.take(outcome)
      if (key !== undefined) await this.#store.write({ session_id: command.scope, changes: [{ kind: 'key.put', key }] })
      return outcome
    } finally {
      pending.withdraw()
    }
  }

  #find({ scope, key }: KeyedCommand): KeyRecord | undefined {
    const record = this.#store.key(scope, key)
    const isOld = record !== undefined && Date.parse(record.created_at) < Date.now() - this.#lifeMs
    return isOld ? undefined : record
  }
}

/** The record of the key that the command under way came with, to be committed with what it decides; only once. */
export function keyOfCommand(outcome: unknown): KeyRecord | undefined {
  return carried.getStore()?.take(outcome)
}

/** Does what is nobody's command, though it happens on the way of one. */
export function withoutKey<T>(work: () => T): T {
  return carried.run(undefined, work)
}

/** A key whose command has not decided yet. */
class PendingKey {
  readonly command: KeyedCommand
  #isGone = false

  constructor(command: KeyedCommand) {
    this.command = command
  }

  take(outcome: unknown): KeyRecord | undefined {
    if (this.#isGone) return undefined
    this.withdraw()
    return { ...this.command, outcome: JSON.stringify(outcome ?? null), created_at: new Date().toISOString() }
  }

  /** The command is over: what it has left behind takes no key. */
  withdraw(): void {
    this.#isGone = true
  }
}

/**
 * The key of a command on its way from the door to the recorder. It belongs to the request and not to any of the
 * twenty-odd methods between, and a parameter through all of them is one that a new command forgets without being told.
 */
const carried = new AsyncLocalStorage<PendingKey | undefined>()

/** Only this program writes outcomes, each for the command that reads it again. */
function outcomeOf<T>({ outcome }: KeyRecord): T {
  const value: T = JSON.parse(outcome)
  return value
}
