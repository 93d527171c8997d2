import type { ActivityKind, Message } from '../../protocol/protocol.ts'
import type { Patience, RuntimeEvent } from '../../runtime/runtime.ts'
import { Moment } from '../moment.ts'

/** Something that a run does by itself: what it waits for of persons and tasks is known elsewhere. */
export interface Doing {
  readonly kind: Extract<ActivityKind, 'starting' | 'model' | 'tool' | 'hook' | 'step'>
  readonly since: Moment
  /** When it was last heard of, if it was. */
  readonly heard?: Moment | undefined
  /** When it was begun once more, if it was. */
  readonly again?: Moment | undefined
  readonly name?: string | undefined
  readonly tool_call_id?: string | undefined
}

/** A run that is taken up again, and does not go on yet. */
export interface Recovering {
  readonly since: Moment
  /**
   * Some time to pass, a slot to be free, its turn among those on their last attempt, or among all that are taken up, its agent
   * to be opened.
   */
  readonly waitsFor: 'pause' | 'slot' | 'trial' | 'turn' | 'agent'
  /** When the time has passed, in RFC 3339. */
  readonly until?: string | undefined
}

/** What a run does at any time, and since when, told from its events. */
export class RunActivity {
  #patience: Patience | undefined
  #recovering: Recovering | undefined
  #phase: Doing = { kind: 'starting', since: new Moment() }
  readonly #calls = new Map<string, Doing>()
  #hooks: readonly Doing[] = []
  #heard: Moment = this.#phase.since
  #left: { readonly since: Moment; readonly isStuck: boolean } | undefined

  /** Of the runtime that carries it out. */
  get patience(): Patience | undefined {
    return this.#patience
  }

  /** What a run that its process has left waits for before it goes on in this one. */
  get recovering(): Recovering | undefined {
    return this.#recovering
  }

  /** When the run has told something last. */
  get heard(): Moment {
    return this.#heard
  }

  /** A model, a tool or a hook is waited for. */
  get isWaiting(): boolean {
    return this.#phase.kind === 'model' || this.#calls.size > 0 || this.#hooks.length > 0
  }

  /** Since when the run is expected to leave, and whether that is because it was stuck. */
  get leaving(): { readonly since: Moment; readonly isStuck: boolean } | undefined {
    return this.#left
  }

  /** There is always something that it does. */
  get doing(): readonly Doing[] {
    const busy = [...this.#calls.values(), ...this.#hooks]
    if (busy.length === 0) return [this.#phase]
    return this.#phase.kind === 'model' ? [this.#phase, ...busy] : busy
  }

  /** The run was begun by a process that has left it, and is not carried out yet. */
  recover(waitsFor: Recovering['waitsFor'], until?: string): void {
    this.#recovering = { since: this.#recovering?.since ?? new Moment(), waitsFor, until }
  }

  /** From now on a runtime carries it out. */
  begin(patience: Patience | undefined): void {
    this.#patience = patience
    this.#recovering = undefined
    this.#heard = new Moment()
  }

  /** From now on the run is expected to leave. What was said first counts. */
  leave(isStuck: boolean): void {
    this.#left ??= { since: new Moment(), isStuck }
  }

  /** Takes note of what the run tells. */
  take(event: RuntimeEvent): void {
    this.#heard = new Moment()
    switch (event.type) {
      case 'mcp_init_started':
        this.#become('starting')
        return
      case 'mcp_init_finished':
      case 'token_usage':
        this.#become('step')
        return
      case 'session_compaction':
        this.#become(event.status === 'started' ? 'model' : 'step', 'compaction')
        return
      case 'agent_info':
        // Whatever the calls of the answer before have told: a model is asked only when all of them have ended.
        this.#calls.clear()
        this.#become('model', event.model)
        return
      case 'asked_again':
        this.#phase = { ...this.#phase, again: this.#heard }
        return
      case 'agent_choice':
      case 'agent_choice_reasoning':
      case 'partial_tool_call':
        if (this.#phase.kind !== 'model') this.#become('model')
        this.#phase = { ...this.#phase, heard: this.#heard }
        return
      case 'message_added':
        this.#takeMessage(event.message)
        return
      case 'tool_call':
        this.#call(event.tool_call.id, event.tool_call.function.name)
        return
      case 'tool_call_output':
        this.#hear(event.tool_call_id)
        return
      case 'tool_call_response':
        this.#calls.delete(event.tool_call_id)
        return
      case 'hook_started':
        this.#hooks = [...this.#hooks, { kind: 'hook', since: this.#heard, name: event.hook_event }]
        return
      case 'hook_finished':
        this.#hooks = this.#hooks.toSpliced(this.#hookAt(event.hook_event), 1)
    }
  }

  #become(kind: 'starting' | 'model' | 'step', name?: string): void {
    this.#phase = { kind, since: this.#heard, ...(kind === 'model' && name !== undefined ? { name } : {}) }
  }

  #takeMessage({ message }: Message): void {
    if (message.role === 'tool') this.#calls.delete(message.tool_call_id ?? '')
    if (message.role !== 'assistant') return
    this.#become('step')
    for (const { id, function: called } of message.tool_calls ?? []) this.#call(id, called.name)
  }

  #call(id = '', name?: string): void {
    this.#calls.set(id, { kind: 'tool', since: this.#heard, name, tool_call_id: id })
  }

  #hear(id: string): void {
    const call = this.#calls.get(id)
    if (call !== undefined) this.#calls.set(id, { ...call, heard: this.#heard })
  }

  #hookAt(name: string): number {
    const place = this.#hooks.findIndex((hook) => hook.name === name)
    return place < 0 ? this.#hooks.length : place
  }
}
