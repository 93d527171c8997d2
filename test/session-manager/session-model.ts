import type fc from 'fast-check'
import { expect } from 'vitest'
import { type ErrorCode, type InputKind, queueCapacity } from '../../src/protocol/protocol.ts'
import { checkExplained } from './explained.ts'
import { codeOf, type House, patience, readLog } from './house.ts'
import { approval, type PuppetRun } from './test-agents.ts'

/** A session as its state table has it, and nothing more. */
export interface Model {
  hasRun: boolean
  isRunning: boolean
  /** Inputs that wait, by kind, oldest first. */
  readonly waiting: Record<InputKind, string[]>
  /** Approvals that wait, oldest first. */
  asked: string[]
  said: number
}

/** A text that nothing else in the session has. */
function newText(model: Model): string {
  model.said += 1
  return `${model.said}`
}

/** The session itself, with the run that its puppet drives. */
export interface Real {
  house: House
  readonly id: string
  run: PuppetRun | undefined
  head: number
}

export function newModel(): Model {
  return { hasRun: false, isRunning: false, waiting: { steer: [], followup: [] }, asked: [], said: 0 }
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
    model.hasRun = true
    model.isRunning = true
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
    waiting.push(...texts)
    if (!isSteer && !model.isRunning) startQueued(model)
  }
}

function refusalOf(model: Model, kind: InputKind, count: number): ErrorCode | undefined {
  if (!model.hasRun) return 'session_not_running'
  return model.waiting[kind].length + count > queueCapacity[kind] ? `${kind}_queue_full` : undefined
}

/** A run that the queue starts takes all steering, or else one follow-up. */
function startQueued(model: Model): void {
  model.isRunning = true
  if (model.waiting.steer.length > 0) model.waiting.steer.length = 0
  else model.waiting.followup.shift()
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

  protected async carryOut({ waiting }: Model, { run }: Real): Promise<void> {
    if (this.#kind === 'steer') expect(run?.steering()).toEqual(waiting.steer.splice(0))
    else expect(run?.followUp()).toBe(waiting.followup.shift())
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
    real.run = undefined
    model.isRunning = false
    model.asked = []
    const { steer, followup } = model.waiting
    const goesOn = { normal: steer.length + followup.length > 0, failed: steer.length > 0, stopped: false }[this.#how]
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
    model.isRunning = false
    model.asked = []
  }
}

/** What a client sees of the session is what the model says; a run that it sees is live here (M1, M6). */
async function agree(model: Model, real: Real): Promise<void> {
  const { manager, puppet, store } = real.house
  if (model.isRunning) real.run ??= await puppet.next()
  else await manager.waitStopped(real.id, patience)
  const snapshot = await manager.getSessionSnapshot(real.id)
  expect([snapshot.streaming, puppet.active.size, puppet.unseen]).toEqual([model.isRunning, Number(model.isRunning), 0])
  expect(snapshot.last_event_seq).toBeGreaterThanOrEqual(real.head)
  real.head = snapshot.last_event_seq
  const { steer, followup } = model.waiting
  expect(
    store
      .inputs(real.id)
      .map(({ message }) => message.content)
      .sort(),
  ).toEqual([...steer, ...followup].sort())
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
    count.map((n) => new Say('steer', n)),
    count.map((n) => new Say('followup', n * n)),
    check.constant(new Say('followup', 1)),
  ]
}
