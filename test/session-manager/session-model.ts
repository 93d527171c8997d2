import type fc from 'fast-check'
import { expect } from 'vitest'
import { type ErrorCode, type HeldBy, type IfBusy, type InputKind, queueCapacity } from '../../src/protocol/protocol.ts'
import { checkExplained } from './explained.ts'
import { codeOf, type House, patience, readLog } from './house.ts'
import { approval, type PuppetRun } from './test-agents.ts'

/** An input that waits. */
interface Waiting {
  readonly text: string
  heldBy: HeldBy | undefined
}

/** A session as its state tables have it, and nothing more. */
export interface Model {
  /** A run goes on when its process has left it. */
  readonly recovers: boolean
  hasRun: boolean
  /** How often the last run was begun. */
  attempt: number
  isRunning: boolean
  /** Inputs that wait, by kind, in their order. */
  readonly waiting: Record<InputKind, Waiting[]>
  /** What was said, and how much of it before the run that goes on. */
  readonly said: string[]
  saidBefore: number
  /** Approvals that wait, oldest first. */
  asked: string[]
  texts: number
}

/** A text that nothing else in the session has. */
function newText(model: Model): string {
  model.texts += 1
  return `${model.texts}`
}

/** The session itself, with the run that its puppet drives. */
export interface Real {
  house: House
  readonly id: string
  run: PuppetRun | undefined
  head: number
}

/** How often a run is begun at most. */
const attempts = 3

export function newModel(recovers: boolean): Model {
  const waiting = { steer: [], followup: [] }
  return {
    recovers,
    attempt: 0,
    hasRun: false,
    isRunning: false,
    waiting,
    said: [],
    saidBefore: 0,
    asked: [],
    texts: 0,
  }
}

const isReady = ({ heldBy }: Waiting): boolean => heldBy === undefined

function hold({ waiting }: Model, kinds: readonly InputKind[], by: HeldBy): void {
  for (const kind of kinds) for (const one of waiting[kind].filter(isReady)) one.heldBy = by
}

/** Every run begins with what is not held by a client. */
function begin(model: Model): void {
  const { waiting, said } = model
  for (const one of [...waiting.steer, ...waiting.followup]) if (one.heldBy !== 'client') one.heldBy = undefined
  model.hasRun = true
  model.isRunning = true
  model.attempt = 1
  model.asked = []
  model.saidBefore = said.length
}

/** A run takes some of those that wait. */
function take(model: Model, kind: InputKind, which: readonly Waiting[]): readonly string[] {
  const list = model.waiting[kind]
  for (const one of which) list.splice(list.indexOf(one), 1)
  const texts = which.map(({ text }) => text)
  model.said.push(...texts)
  return texts
}

function takeSteering(model: Model): readonly string[] {
  return take(model, 'steer', model.waiting.steer.filter(isReady))
}

function takeFollowUp(model: Model): string | undefined {
  return take(model, 'followup', model.waiting.followup.filter(isReady).slice(0, 1))[0]
}

type Command = fc.AsyncCommand<Model, Real>

/** A command that says what it does to the model, and carries it out; then both must agree. */
abstract class Step implements Command {
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  check(_: Readonly<Model>): boolean {
    return true
  }

  async run(model: Model, real: Real): Promise<void> {
    await this.carryOut(model, real)
    await agree(model, real)
  }

  toString(): string {
    return this.#name
  }

  protected abstract carryOut(model: Model, real: Real): Promise<void>
}

class Start extends Step {
  constructor() {
    super('run')
  }

  protected async carryOut(model: Model, { house: { manager }, id }: Real): Promise<void> {
    const call = manager.runSession(id, { source: 'hand' }, { messages: [{ content: 'go' }] })
    expect(await codeOf(call)).toBe(model.isRunning ? 'session_busy' : undefined)
    if (model.isRunning) return
    begin(model)
    model.said.push('go')
  }
}

/** What a request wants of a session that may be busy. */
class Submit extends Step {
  readonly #ifBusy: IfBusy

  constructor(ifBusy: IfBusy) {
    super(ifBusy)
    this.#ifBusy = ifBusy
  }

  protected async carryOut(model: Model, real: Real): Promise<void> {
    const { manager } = real.house
    const text = newText(model)
    const kind = this.#ifBusy === 'steer' ? 'steer' : 'followup'
    const waits = model.isRunning && (this.#ifBusy === 'steer' || this.#ifBusy === 'enqueue')
    const isFull = model.waiting[kind].length >= queueCapacity[kind]
    const call = manager.submit(real.id, { source: 'hand' }, { messages: [{ content: text }], ifBusy: this.#ifBusy })
    expect(await codeOf(call)).toBe(waits && isFull ? `${kind}_queue_full` : undefined)
    if (waits) {
      if (!isFull) model.waiting[kind].push({ text, heldBy: undefined })
      return
    }
    if (model.isRunning) real.run = undefined
    if (model.isRunning && this.#ifBusy === 'rollback') model.said.length = model.saidBefore
    begin(model)
    model.said.push(text)
  }
}

/** The process dies between the stop of a run and the beginning of the one that was to take its place. */
class RollbackCut extends Step {
  constructor() {
    super('rollback, crash')
  }

  override check(model: Readonly<Model>): boolean {
    return model.isRunning
  }

  protected async carryOut(model: Model, real: Real): Promise<void> {
    const { manager, store } = real.house
    store.hold()
    void manager.submit(real.id, { source: 'hand' }, { messages: [{ content: newText(model) }], ifBusy: 'rollback' })
    while (store.waiting === 0) await new Promise(setImmediate)
    store.release()
    real.house = await real.house.crash()
    real.run = undefined
    model.isRunning = false
    model.asked = []
    model.said.length = model.saidBefore
    if (!model.waiting.followup.some(isReady)) return
    if (model.recovers) startQueued(model)
    else hold(model, ['steer', 'followup'], 'restart')
  }
}

/** What a client does to an input that waits. */
class Change extends Step {
  readonly #nth: number
  readonly #how: 'hold' | 'release' | 'turn' | 'last' | 'cancel'

  constructor(nth: number, how: 'hold' | 'release' | 'turn' | 'last' | 'cancel') {
    super(`${how} ${nth}`)
    this.#nth = nth
    this.#how = how
  }

  override check({ waiting }: Readonly<Model>): boolean {
    return waiting.steer.length + waiting.followup.length > 0
  }

  protected async carryOut(model: Model, { house: { manager }, id }: Real): Promise<void> {
    const { steer, followup } = model.waiting
    const inputs = await manager.getInputs(id)
    const nth = this.#nth % inputs.length
    const [kind, list, index] =
      nth < steer.length ? (['steer', steer, nth] as const) : (['followup', followup, nth - steer.length] as const)
    const other = kind === 'steer' ? 'followup' : 'steer'
    const input = inputs[nth]?.id ?? ''
    const one = list[index]
    if (one === undefined) return
    const isFull = this.#how === 'turn' && model.waiting[other].length >= queueCapacity[other]
    const call = {
      hold: () => manager.updateInput(id, input, { held: true }),
      release: () => manager.updateInput(id, input, { held: false }),
      turn: () => manager.updateInput(id, input, { kind: other }),
      last: () => manager.updateInput(id, input, { before: '' }),
      cancel: () => manager.cancelInput(id, input),
    }[this.#how]
    expect(await codeOf(call())).toBe(isFull ? `${other}_queue_full` : undefined)
    if (isFull) return
    if (this.#how === 'hold') one.heldBy = 'client'
    else if (this.#how === 'release') one.heldBy = undefined
    else {
      list.splice(index, 1)
      if (this.#how !== 'cancel') (this.#how === 'turn' ? model.waiting[other] : list).push(one)
    }
    const goesOn = this.#how === 'release' || (this.#how === 'turn' && other === 'followup' && isReady(one))
    if (goesOn && !model.isRunning) startQueued(model)
  }
}

class Say extends Step {
  readonly #kind: InputKind
  readonly #count: number

  constructor(kind: InputKind, count: number) {
    super(`${kind} ${count}`)
    this.#kind = kind
    this.#count = count
  }

  protected async carryOut(model: Model, { house: { manager }, id }: Real): Promise<void> {
    const texts = Array.from({ length: this.#count }, () => newText(model))
    const messages = texts.map((content) => ({ content }))
    const waiting = model.waiting[this.#kind]
    const isSteer = this.#kind === 'steer'
    const code = await codeOf(isSteer ? manager.steerSession(id, messages) : manager.followUpSession(id, messages))
    expect(code).toBe(refusalOf(model, this.#kind, this.#count))
    if (code !== undefined) return
    waiting.push(...texts.map((text) => ({ text, heldBy: undefined })))
    if (!isSteer && !model.isRunning) startQueued(model)
  }
}

function refusalOf(model: Model, kind: InputKind, count: number): ErrorCode | undefined {
  if (!model.hasRun) return 'session_not_running'
  return model.waiting[kind].length + count > queueCapacity[kind] ? `${kind}_queue_full` : undefined
}

/** A run that the queue starts takes all steering, or else one follow-up. */
function startQueued(model: Model): void {
  begin(model)
  if (takeSteering(model).length === 0) takeFollowUp(model)
}

class Take extends Step {
  readonly #kind: InputKind

  constructor(kind: InputKind) {
    super(`take ${kind}`)
    this.#kind = kind
  }

  override check(model: Readonly<Model>): boolean {
    return model.isRunning
  }

  protected async carryOut(model: Model, { run }: Real): Promise<void> {
    if (this.#kind === 'steer') expect(run?.steering()).toEqual(takeSteering(model))
    else expect(run?.followUp()).toBe(takeFollowUp(model))
  }
}

class End extends Step {
  readonly #how: 'normal' | 'failed' | 'stopped'

  constructor(how: 'normal' | 'failed' | 'stopped') {
    super(how)
    this.#how = how
  }

  override check(model: Readonly<Model>): boolean {
    return model.isRunning || this.#how === 'stopped'
  }

  protected async carryOut(model: Model, real: Real): Promise<void> {
    const { house, id, run } = real
    if (this.#how === 'stopped') {
      const stop = await house.manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
      expect([stop.stopped, stop.run === undefined]).toEqual([true, !model.isRunning])
    } else await (this.#how === 'normal' ? run?.end() : run?.fail(new TypeError('a defect')))
    const wasRunning = model.isRunning
    real.run = undefined
    model.isRunning = false
    model.asked = []
    const kinds = (['steer', 'followup'] as const).filter((kind) => model.waiting[kind].some(isReady))
    if (wasRunning && this.#how === 'stopped') hold(model, ['steer', 'followup'], 'stop')
    if (this.#how === 'failed') hold(model, ['followup'], 'failure')
    const goesOn = { normal: kinds.length > 0, failed: kinds.includes('steer'), stopped: false }[this.#how]
    if (goesOn) startQueued(model)
  }
}

class Ask extends Step {
  constructor() {
    super('ask')
  }

  override check(model: Readonly<Model>): boolean {
    return model.isRunning
  }

  protected async carryOut(model: Model, { run }: Real): Promise<void> {
    const name = `call ${newText(model)}`
    model.asked.push(name)
    run?.ask(approval(name)).catch(() => {})
  }
}

class Answer extends Step {
  constructor() {
    super('answer')
  }

  protected async carryOut(model: Model, { house: { manager }, id }: Real): Promise<void> {
    const code = await codeOf(manager.resumeSession(id, { confirmation: 'approve' }))
    expect(code).toBe(model.asked.length === 0 ? 'no_pending_request' : undefined)
    model.asked.shift()
  }
}

class Edit extends Step {
  constructor() {
    super('edit')
  }

  protected async carryOut(model: Model, { house: { manager }, id }: Real): Promise<void> {
    const call = manager.addMessage(id, { agent_name: '', message: { role: 'user', content: 'x' } })
    expect(await codeOf(call)).toBe(model.isRunning ? 'session_busy' : undefined)
    if (!model.isRunning) model.said.push('x')
  }
}

class Restart extends Step {
  readonly #how: 'crash' | 'restart'

  constructor(how: 'crash' | 'restart') {
    super(how)
    this.#how = how
  }

  protected async carryOut(model: Model, real: Real): Promise<void> {
    real.house = await real.house[this.#how]()
    real.run = undefined
    // The death of a process counts for runs that did something.
    const counts = this.#how === 'crash' && model.asked.length === 0
    if (model.isRunning && model.recovers && (!counts || model.attempt < attempts)) {
      if (counts) model.attempt += 1
      return
    }
    if (model.isRunning) hold(model, ['steer', 'followup'], 'restart')
    model.isRunning = false
    model.asked = []
  }
}

/** What a client sees of the session is what the model says; a run that it sees is live here (M1, M6). */
async function agree(model: Model, real: Real): Promise<void> {
  const { manager, puppet } = real.house
  if (model.isRunning) real.run ??= await puppet.next()
  else await manager.waitStopped(real.id, patience)
  const snapshot = await manager.getSessionSnapshot(real.id)
  expect([snapshot.streaming, puppet.active.size, puppet.unseen]).toEqual([model.isRunning, Number(model.isRunning), 0])
  expect(snapshot.last_event_seq).toBeGreaterThanOrEqual(real.head)
  real.head = snapshot.last_event_seq
  const { steer, followup } = model.waiting
  const waiting = snapshot.inputs.map(({ kind, message, held_by }) => [kind, message.content, held_by])
  expect(waiting).toEqual([
    ...steer.map(({ text, heldBy }) => ['steer', text, heldBy]),
    ...followup.map(({ text, heldBy }) => ['followup', text, heldBy]),
  ])
  expect(await manager.getInputs(real.id)).toEqual(snapshot.inputs)
  expect(snapshot.messages?.map(({ message }) => message.content) ?? []).toEqual(model.said)
  const asked = (await manager.getRequests(real.id)).map(
    ({ content }) => content.kind === 'approval' && content.tool_call.id,
  )
  expect(asked).toEqual(model.asked)
  await checkExplained(manager, real.id)
  expect(await codeOf(manager.getSessionStatus(real.id))).toBe(model.hasRun ? undefined : 'session_not_running')
}

/** Nothing is left over of a session that is at rest (M4). */
export async function checkEnds({ house: { manager }, id }: Real): Promise<void> {
  await manager.cancelRun(id, { by: 'test' }, { waitMs: patience })
  const log = await readLog(manager, id)
  const of = (type: string): readonly unknown[] =>
    log.filter(({ event }) => event.type === type).map(({ event }) => event.run_id)
  expect(of('stream_stopped')).toEqual(of('stream_started'))
  expect(of('request_settled').toSorted()).toEqual(of('request_opened').toSorted())
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
}

/** Every command there is, for `fc.commands`. */
export function stepsOf(check: typeof fc): fc.Arbitrary<Command>[] {
  const count = check.integer({ min: 1, max: 3 })
  const always = (...steps: readonly Command[]): fc.Arbitrary<Command>[] => steps.map((step) => check.constant(step))
  return [
    ...always(new Start(), new Start(), new Start(), new Take('steer'), new Take('followup'), new Answer(), new Edit()),
    ...always(new End('normal'), new End('normal'), new End('failed'), new End('stopped'), new Ask(), new Ask()),
    ...always(new Restart('crash'), new Restart('restart')),
    ...always(new Submit('enqueue'), new Submit('steer'), new Submit('interrupt'), new Submit('rollback')),
    ...always(new Submit('enqueue'), new Submit('enqueue'), new RollbackCut()),
    ...(['hold', 'release', 'turn', 'last', 'cancel'] as const).map((how) =>
      check.nat({ max: 30 }).map((nth) => new Change(nth, how)),
    ),
    count.map((n) => new Say('steer', n)),
    count.map((n) => new Say('followup', n * n)),
    check.constant(new Say('followup', 1)),
  ]
}
