import { expect } from 'vitest'
import { newId, type Recovery, Refusal } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import type { SessionRecord, Store } from '../../src/store/store.ts'
import { build, codeOf, eventsOf, type House, patience, readLog } from './house.ts'
import { approval, Puppet, type PuppetRun, runtimeOf } from './test-agents.ts'

export type FamilyStep = 'say' | 'answer' | 'ask' | 'end' | 'fail' | 'delegate' | 'background' | 'recalled' | 'again'

export type FamilyCommand =
  | { readonly do: 'step'; readonly step: FamilyStep; readonly which: number }
  | {
      readonly do: 'run' | 'steer' | 'followup' | 'cancel' | 'verdict' | 'toggle' | 'delete' | 'look'
      readonly which: number
    }
  | { readonly do: 'breathe'; readonly ticks: number }
  | { readonly do: 'fault'; readonly fault: 'refused' | 'unknown' }
  | { readonly do: 'hold' | 'release' | 'batch' | 'press' | 'relieve' | 'fill' | 'free' | 'crash' | 'restart' }

/** A call that hands over a task. */
interface Handed {
  readonly callId: string
  readonly isBackground: boolean
  readonly recall?: boolean
}

const slots = 3
const deepest = 3

/**
 * A session, all that come to work for it, and what must be true of them whatever happens. Commands are sent without
 * waiting for their answers.
 */
export class FamilyWorld {
  readonly #real: Store
  #house: House
  #worker = new Puppet()
  #open = 0
  #counter = 0
  /** Calls that have handed over tasks, by the session they were made in. */
  readonly #handed = new Map<string, Handed[]>()
  readonly #known = new Map<string, number>()
  #calls: Promise<unknown>[] = []
  #relieve = (): void => {}
  /** No commit was lost, so that all figures must be right. */
  #isExact = true
  /** A commit was lost that others made in the same transaction. */
  #isTorn = false
  #hasDeleted = false

  private constructor(real: Store, house: House, id: string) {
    this.#real = real
    this.#house = house
    this.#known.set(id, 0)
  }

  static async create(real: Store, recovery: Recovery): Promise<FamilyWorld> {
    const house = await build(real, { ringCapacity: 8, maxConcurrentRuns: slots, recovery })
    const { id } = await house.manager.createSession()
    return new FamilyWorld(real, house, id)
  }

  async carryOut(command: FamilyCommand): Promise<void> {
    const { manager, store } = this.#house
    switch (command.do) {
      case 'step': {
        const run = this.#pick(this.#active, command.which)
        if (run !== undefined) this.#step(run, command.step)
        break
      }
      case 'breathe':
        for (let tick = 0; tick < command.ticks; tick += 1) await new Promise(setImmediate)
        break
      case 'fault':
        this.#isExact = false
        this.#isTorn = true
        store.fail(command.fault)
        break
      case 'hold':
        store.hold()
        break
      case 'release':
        store.release()
        break
      case 'batch':
        store.release()
        store.hold()
        break
      case 'press':
        this.#press()
        break
      case 'relieve':
        this.#relieve()
        break
      case 'fill':
        this.#isExact = false
        store.fill(true)
        break
      case 'free':
        store.fill(false)
        break
      case 'crash':
        this.#isExact = false
        this.#calls = []
        this.#begin(await this.#house.crash())
        break
      case 'restart':
        this.#relieve()
        store.heal()
        store.release()
        this.#begin(await this.#house.restart())
        break
      default: {
        const [root = '', ...others] = this.#known.keys()
        // The one at the top goes seldom: there is little to see after that.
        const among = command.do === 'delete' && command.which > 0 ? others : [root, ...others]
        const id = this.#pick(among, command.which) ?? ''
        this.#counter += 1
        const messages = [{ content: `${command.do} ${this.#counter}` }]
        const calls: Record<typeof command.do, () => Promise<unknown>> = {
          run: () => manager.runSession(id, { source: 'hand' }, { messages }),
          steer: () => manager.steerSession(id, messages),
          followup: () => manager.followUpSession(id, messages),
          cancel: () => manager.cancelRun(id, { by: 'test' }, { waitMs: 0 }),
          verdict: () => manager.resumeSession(id, { confirmation: 'approve' }),
          toggle: () => manager.toggleToolApproval(id),
          look: () => manager.getSessionSnapshot(id),
          delete: () => {
            this.#hasDeleted = true
            return manager.deleteSession(id)
          },
        }
        this.#send(calls[command.do]())
      }
    }
  }

  /** Lets everything come to rest, and checks. */
  async settle(): Promise<void> {
    this.#relieve()
    this.#house.store.heal()
    this.#house.store.release()
    await this.#rest()
    await this.#check()
    await this.#checkSlots()
    this.#begin(await this.#house.restart())
    await this.#rest()
    await this.#check()
    await this.#house.manager.close()
    expect(this.#open + this.#house.agents.live).toBe(0)
  }

  /** More waits to be written than may. */
  #press(): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    const { store } = this.#house
    const before = this.#relieve
    store.pressure = promise
    this.#relieve = () => {
      before()
      store.pressure = undefined
      resolve()
    }
  }

  get #active(): readonly PuppetRun[] {
    return [...this.#house.puppet.active, ...this.#worker.active]
  }

  #pick<T>(from: readonly T[], which: number): T | undefined {
    return from[which % Math.max(from.length, 1)]
  }

  #begin(next: House): void {
    this.#house = next
    this.#worker = new Puppet()
    this.#open = 0
  }

  #send(call: Promise<unknown>): void {
    const sent = call.catch((refusal: unknown) => {
      if (!(refusal instanceof Refusal)) throw refusal
    })
    this.#calls.push(sent)
  }

  #step(run: PuppetRun, step: FamilyStep): void {
    this.#counter += 1
    const name = `${step} ${this.#counter}`
    const usage = { input_tokens: 1, output_tokens: 1, cached_input_tokens: 0, cached_write_tokens: 0 }
    const steps: Record<FamilyStep, () => unknown> = {
      say: () => run.say(name),
      answer: () => run.answer(name, { usage, cost: 1 }),
      ask: () => run.ask(approval(name)).catch(() => {}),
      end: () => run.end(),
      fail: () => run.fail(new RunFailure('model_error', 'down')),
      delegate: () => this.#delegate(run, { callId: newId(), isBackground: false }),
      background: () => this.#delegate(run, { callId: newId(), isBackground: true }),
      recalled: () => this.#delegate(run, { callId: newId(), isBackground: true, recall: true }),
      again: () => this.#delegateAgain(run),
    }
    steps[step]()
  }

  /** A run that goes on carries out calls again that had begun. */
  #delegateAgain(run: PuppetRun): void {
    const handed = run.context.resumed === undefined ? [] : (this.#handed.get(run.context.conversation) ?? [])
    const call = handed.shift()
    if (call !== undefined) this.#delegate(run, call)
  }

  #delegate({ context }: PuppetRun, handed: Handed): void {
    const calls = this.#handed.get(context.conversation) ?? []
    this.#handed.set(context.conversation, [...calls, handed])
    const depth = (this.#known.get(context.conversation) ?? 0) + 1
    if (depth > deepest) return
    const worker = this.#worker
    const open = () => {
      // A process that has died opens nothing, though here it goes on to try.
      if (worker === this.#worker) this.#open += 1
      return {
        ...runtimeOf('worker', worker),
        close: async () => {
          if (worker === this.#worker) this.#open -= 1
        },
      }
    }
    const begun = context.tasks.begin({ ...handed, open, task: 'work', title: 'work' })
    const noted = begun.then(
      ({ id }) => this.#known.set(id, depth),
      () => {},
    )
    if (worker === this.#worker) this.#calls.push(noted)
  }

  /** Ends what runs, as often as something runs. A session that hangs lets this hang (M6). */
  async #rest(): Promise<void> {
    const { manager } = this.#house
    for (let quiet = 0; quiet < 20; quiet += 1) {
      await new Promise(setImmediate)
      // Those too whose beginning was stored, though nobody was told.
      for (const [id, depth] of this.#known) {
        for (const child of this.#real.children(id)) this.#known.set(child.id, depth + 1)
      }
      for (const run of this.#active) {
        quiet = 0
        run.context.takeSteering()
        while (run.context.takeFollowUp() !== undefined);
        await Promise.race([run.end(), new Promise(setImmediate)])
      }
      for (const id of this.#known.keys()) {
        const status = await manager.getSessionStatus(id).catch((refusal: unknown) => refusal)
        const isBusy = status instanceof Refusal ? status.code === 'store_unavailable' : isStreaming(status)
        if (isBusy) quiet = 0
      }
    }
    await Promise.all(this.#calls)
  }

  async #check(): Promise<void> {
    expect(this.#real.unfinishedRuns()).toEqual([])
    expect(this.#house.defects).toEqual([])
    expect(this.#open).toBe(0)
    for (const id of this.#known.keys()) {
      const record = this.#real.session(id)
      const code = await codeOf(this.#house.manager.getSession(id))
      expect(code).toBe(record === undefined ? 'unknown_session' : undefined)
      if (record === undefined) continue
      if (record.parent_id !== undefined) expect(this.#real.session(record.parent_id)).toBeDefined()
      expect(this.#real.requests(id, 'open')).toEqual([])
      await this.#checkLog(id)
      if (!this.#isTorn) await this.#checkTold(record)
      if (this.#isExact) await this.#checkFigures(id)
    }
  }

  /** Every run that began in the log has one end there, and every question too. */
  async #checkLog(id: string): Promise<void> {
    const log = await readLog(this.#house.manager, id)
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
    const runs = (type: string) => log.flatMap(({ event }) => (event.type === type ? [String(event.run_id)] : []))
    expect(runs('stream_stopped').sort()).toEqual(runs('stream_started').sort())
    const goesOn = new Set<unknown>()
    for (const { event } of log) {
      if (event.type === 'stream_started') goesOn.add(event.run_id)
      if (event.type === 'stream_stopped') goesOn.delete(event.run_id)
      if (event.type === 'run_recovered')
        expect([goesOn.has(event.run_id), Number(event.attempt) <= 3]).toEqual([true, true])
    }
    const requests = (type: 'request_opened' | 'request_settled') => eventsOf(log, type).map(({ request }) => request)
    const settled = requests('request_settled')
    expect(settled.map((request) => request.id).sort()).toEqual(
      requests('request_opened')
        .map((request) => request.id)
        .sort(),
    )
    if (!this.#isExact) return
    for (const { id, session_id, state } of settled) {
      const stored = this.#real.requests(session_id ?? '', 'all').find((request) => request.id === id)
      expect(stored?.state ?? state).toBe(state)
    }
  }

  /** What has become of a task that nobody waits for is told above once, and said there if it shall be. */
  async #checkTold({ id, parent_id = '', task_of }: SessionRecord): Promise<void> {
    const own = this.#real.runs(id, { limit: 1000 }).entries.at(-1)
    if (own?.trigger !== 'background') return
    const log = await readLog(this.#house.manager, parent_id)
    const told = eventsOf(log, 'sub_session_completed').filter(({ sub_session }) => sub_session.id === id)
    const inputs = this.#real.allInputs(parent_id, { limit: 1000 }).entries
    const said = inputs.filter(({ message }) => message.content.includes(id))
    const [least, recalls] = own.status === 'completed' || own.status === 'failed' ? [1, 1] : [0, told.length]
    const most = task_of?.recall === true ? recalls : 0
    const where = { id, status: own.status }
    expect({ ...where, told: told.length }).toEqual({ ...where, told: Math.max(least, Math.min(told.length, 1)) })
    expect({ ...where, said: said.length }).toEqual({
      ...where,
      said: least === 1 ? most : Math.min(said.length, most),
    })
  }

  async #checkFigures(id: string): Promise<void> {
    const { manager } = this.#house
    const { messages, cost, spent } = await manager.getSessionSnapshot(id)
    const shown = messages ?? []
    expect(this.#real.session(id)?.num_messages).toBe(shown.length)
    if (this.#hasDeleted) return
    const sum = shown.reduce((total, { message }) => total + (message.cost ?? 0), 0)
    expect(cost).toBe(sum)
    expect(spent?.cost ?? 0).toBe(sum)
  }

  async #checkSlots(): Promise<void> {
    const { manager } = this.#house
    const ids: string[] = []
    const begin = async () => {
      const { id } = await manager.createSession()
      ids.push(id)
      return codeOf(manager.runSession(id, { source: 'hand' }, { messages: [] }))
    }
    for (let slot = 0; slot < slots; slot += 1) expect(await begin()).toBeUndefined()
    expect(await begin()).toBe('too_many_runs')
    for (const id of ids) await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
    await Promise.all(ids.map((id) => manager.deleteSession(id, patience)))
  }
}

function isStreaming(status: unknown): boolean {
  return typeof status === 'object' && status !== null && 'streaming' in status && status.streaming === true
}
