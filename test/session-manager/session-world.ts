import { expect } from 'vitest'
import { type InputKind, type Recovery, Refusal, type Request, type Snapshot } from '../../src/protocol/protocol.ts'
import { RunFailure } from '../../src/runtime/runtime.ts'
import type { Store } from '../../src/store/store.ts'
import { checkExplained } from './explained.ts'
import { build, type Entry, entriesOf, eventsOf, type House, patience, readLog, texts } from './house.ts'
import { approval, elicitation, type PuppetRun } from './test-agents.ts'

/** How a call ended, as far as its caller knows. A caller that crashed with the process knows nothing. */
type Fate = 'accepted' | 'duplicate' | 'refused' | 'unknown'

interface Said {
  readonly text: string
  readonly kind: InputKind | 'run'
  /** What had been accepted when it was sent. */
  readonly before: readonly string[]
  readonly key: string | undefined
  fate: Fate
}

interface Answered {
  readonly request: string
  fate: Fate
}

export type RunStep =
  | 'say'
  | 'answer'
  | 'takeSteering'
  | 'takeFollowUp'
  | 'end'
  | 'fail'
  | 'misbehave'
  | 'askApproval'
  | 'askElicitation'
  | 'beginCompaction'
  | 'endCompaction'

export type WorldCommand =
  | { readonly do: 'steer' | 'followup'; readonly count: number }
  | { readonly do: 'keyed'; readonly key: string }
  | { readonly do: 'interrupt' | 'rollback' }
  | { readonly do: 'step'; readonly step: RunStep }
  | { readonly do: 'breathe'; readonly ticks: number }
  | { readonly do: 'fault'; readonly fault: 'refused' | 'unknown' }
  | { readonly do: 'verdict'; readonly which: number | undefined }
  | {
      readonly do:
        | 'run'
        | 'stop'
        | 'reply'
        | 'policy'
        | 'title'
        | 'compact'
        | 'delete'
        | 'hold'
        | 'release'
        | 'fill'
        | 'free'
        | 'crash'
        | 'restart'
    }

/**
 * One session and everything that somebody outside knows about it: what was said and accepted, answered and told. Commands
 * are sent without waiting for their answers; in the end the session must agree with what is known.
 */
export class SessionWorld {
  readonly #real: Store
  #house: House
  readonly #id: string
  readonly #said: Said[] = []
  readonly #answered: Answered[] = []
  readonly #received: { readonly question: string; readonly answer: unknown }[] = []
  readonly #told: Entry[] = []
  /** What became of each wish to compact the history. */
  readonly #compactions: { fate: Fate }[] = []
  /** Runs that compact it. */
  readonly #compacting = new WeakSet<PuppetRun>()
  #calls: Promise<unknown>[] = []
  /** Of this process. */
  #explained: Promise<unknown>[] = []
  #leave = new AbortController()
  #head = 0
  #deletion: Fate | undefined
  #counter = 0

  private constructor(real: Store, house: House, id: string) {
    this.#real = real
    this.#house = house
    this.#id = id
  }

  static async create(real: Store, recovery: Recovery): Promise<SessionWorld> {
    const house = await build(real, { ringCapacity: 8, recovery })
    const { id } = await house.manager.createSession()
    const world = new SessionWorld(real, house, id)
    world.#read()
    return world
  }

  async carryOut(command: WorldCommand): Promise<void> {
    const { manager, store } = this.#house
    const id = this.#id
    switch (command.do) {
      case 'run': {
        const said = this.#say('run')
        const messages = [{ content: said.text }]
        this.#send(manager.runSession(id, { source: 'hand' }, { messages }), said)
        break
      }
      case 'interrupt':
      case 'rollback': {
        const said = this.#say('run')
        const messages = [{ content: said.text }]
        this.#send(manager.submit(id, { source: 'hand' }, { messages, ifBusy: command.do }), said)
        break
      }
      case 'steer':
      case 'followup':
        this.#sendList(command.do, command.count)
        break
      case 'keyed': {
        const said = this.#say('followup', command.key)
        this.#send(manager.followUpSession(id, [{ content: said.text }], command.key), said)
        break
      }
      case 'step':
        this.#step(command.step)
        break
      case 'verdict':
        this.#verdict(command.which)
        break
      case 'reply':
        this.#keep(manager.resumeElicitation(id, { action: 'decline' }))
        break
      case 'policy':
        this.#keep(manager.toggleToolApproval(id))
        break
      case 'title':
        this.#keep(manager.updateSessionTitle(id, 'a title'))
        break
      case 'compact': {
        const wish = { fate: 'unknown' as Fate }
        this.#compactions.push(wish)
        this.#send(manager.compactSession(id), wish)
        break
      }
      case 'stop':
        this.#keep(manager.cancelRun(id, { by: 'test' }, { waitMs: 0 }))
        break
      case 'delete': {
        const deletion = { fate: 'unknown' as Fate }
        this.#deletion ??= 'unknown'
        this.#send(manager.deleteSession(id), deletion).then(() => {
          if (deletion.fate === 'accepted') this.#deletion = 'accepted'
        })
        break
      }
      case 'hold':
        store.hold()
        break
      case 'release':
        store.release()
        break
      case 'fault':
        store.fail(command.fault)
        break
      case 'fill':
        store.fill(true)
        break
      case 'free':
        store.fill(false)
        break
      case 'breathe':
        for (let tick = 0; tick < command.ticks; tick += 1) await new Promise(setImmediate)
        break
      case 'crash':
        await this.#crash()
        break
      case 'restart':
        await this.#restart()
        break
    }
    expect(this.#house.puppet.active.size).toBeLessThanOrEqual(1)
    this.#explained.push(checkExplained(this.#house.manager, id))
  }

  /** Lets everything come to rest, gives out what waits, and compares. */
  async settle(): Promise<void> {
    const { store, manager } = this.#house
    store.heal()
    store.release()
    await Promise.all([...this.#calls, ...this.#explained])
    await this.#reload()
    if (this.#deletion !== undefined && (await this.#isGone())) {
      await manager.waitStopped(this.#id, patience)
      this.#leave.abort()
      expect(this.#house.agents.live).toBe(0)
      await manager.close()
      return
    }
    expect(this.#deletion).not.toBe('accepted')
    await this.#empty()
    expect(this.#house.defects.filter((defect) => !(defect instanceof TypeError))).toEqual([])
    const log = await readLog(manager, this.#id)
    const snapshot = await manager.getSessionSnapshot(this.#id)
    const runs = (await manager.getRuns(this.#id, { limit: 1000 })).entries
    this.#leave.abort()
    await manager.close()
    this.#checkLog(log, snapshot)
    this.#checkInputs(log)
    this.#checkRequests(log)
    this.#checkCompactions(log)
    checkRuns(log, runs)
    expect(this.#house.agents.live).toBe(0)
  }

  get #run(): PuppetRun | undefined {
    return [...this.#house.puppet.active][0]
  }

  #say(kind: Said['kind'], key?: string): Said {
    this.#counter += 1
    const before = this.#said.flatMap(({ text, fate }) => (fate === 'accepted' ? [text] : []))
    const said: Said = { text: `${kind} ${this.#counter}`, kind, key, before, fate: 'unknown' }
    this.#said.push(said)
    return said
  }

  #sendList(kind: InputKind, count: number): void {
    const { manager } = this.#house
    const said = Array.from({ length: count }, () => this.#say(kind))
    const messages = said.map(({ text }) => ({ content: text }))
    const call =
      kind === 'steer' ? manager.steerSession(this.#id, messages) : manager.followUpSession(this.#id, messages)
    this.#send(call, ...said)
  }

  /** Notes what becomes of a call. Only a store that fails leaves open whether it had an effect. */
  #send(call: Promise<unknown>, ...fates: { fate: Fate }[]): Promise<void> {
    const settle = (fate: Fate): void => {
      for (const said of fates) said.fate = fate
    }
    const sent = call.then(
      (answer) => settle(isDuplicate(answer) ? 'duplicate' : 'accepted'),
      (refusal: unknown) => {
        if (!(refusal instanceof Refusal)) throw refusal
        const isOpen = refusal.code === 'store_unavailable' || refusal.code === 'shutting_down'
        if (!isOpen) settle('refused')
      },
    )
    this.#calls.push(sent)
    return sent
  }

  #keep(call: Promise<unknown>): void {
    void this.#send(call)
  }

  #step(step: RunStep): void {
    const run = this.#run
    if (run === undefined) return
    const note = (question: string) => (answer: unknown) => this.#received.push({ question, answer })
    this.#counter += 1
    const name = `${step} ${this.#counter}`
    const steps: Record<RunStep, () => unknown> = {
      say: () => run.say(`${this.#counter} `),
      answer: () => run.answer(name),
      takeSteering: () => run.steering(),
      takeFollowUp: () => run.followUp(),
      end: () => run.end(),
      fail: () => run.fail(new RunFailure('model_error', 'down')),
      misbehave: () => run.fail(new TypeError('a defect')),
      beginCompaction: () => {
        if (run.context.takeCompaction() === undefined) return
        this.#compacting.add(run)
        run.tell({ type: 'session_compaction', agent_name: 'root', status: 'started' })
      },
      endCompaction: () => {
        if (!this.#compacting.delete(run)) return
        run.tell({ type: 'session_compaction', agent_name: 'root', status: 'completed', outcome: 'applied' })
      },
      askApproval: () => {
        const decide = () =>
          run.context.settings().safety_policy === 'autonomous' ? ({ confirmation: 'approve' } as const) : undefined
        run.ask(approval(name, 'shell', decide)).then(note(name), () => {})
      },
      askElicitation: () => {
        const expiry = this.#counter % 3 === 0 ? { afterMs: 3 } : undefined
        run.ask({ ...elicitation(name), expiry }).then(note(name), () => {})
      },
    }
    steps[step]()
  }

  #verdict(which: number | undefined): void {
    const { manager } = this.#house
    this.#counter += 1
    const verdict = { confirmation: 'approve', reason: `${this.#counter}` } as const
    if (which === undefined) {
      this.#keep(manager.resumeSession(this.#id, verdict))
      return
    }
    const known = this.#told.filter(({ event }) => event.type === 'request_opened')
    const [request] = eventsOf(known.slice(which % Math.max(known.length, 1)), 'request_opened')
    if (request === undefined) return
    const answered: Answered = { request: request.request.id, fate: 'unknown' }
    this.#answered.push(answered)
    const isElicitation = request.request.content.kind === 'elicitation'
    const answer = isElicitation ? ({ action: 'decline' } as const) : verdict
    // Both ways to say it, in turn.
    const call =
      isElicitation || this.#counter % 2 === 0
        ? manager.answerRequest(this.#id, answered.request, answer)
        : manager.resumeSession(this.#id, { ...verdict, request_id: answered.request })
    this.#send(call, answered)
  }

  async #crash(): Promise<void> {
    const next = await this.#house.crash()
    // Nobody hears of what was under way.
    this.#calls = []
    this.#explained = []
    this.#begin(next)
  }

  async #restart(): Promise<void> {
    this.#house.store.heal()
    this.#house.store.release()
    const next = await this.#house.restart()
    await Promise.all([...this.#calls, ...this.#explained])
    this.#begin(next)
  }

  #begin(next: House): void {
    this.#leave.abort()
    this.#house = next
    this.#read()
  }

  /** Goes on reading where the reader before was cut; reads again after the session was thrown away. */
  #read(): void {
    const leave = new AbortController()
    this.#leave = leave
    const { manager } = this.#house
    const read = async (): Promise<void> => {
      const since = this.#told.at(-1)?.seq ?? 0
      for await (const page of await manager.streamEvents(this.#id, { since, follow: true, signal: leave.signal })) {
        if (!leave.signal.aborted) this.#told.push(...entriesOf(page))
      }
    }
    const readOn = async (): Promise<void> => {
      while (!leave.signal.aborted) {
        await read().catch((refusal: unknown) => {
          if (!(refusal instanceof Refusal)) throw refusal
          if (refusal.code !== 'store_unavailable') leave.abort()
        })
        await new Promise(setImmediate)
      }
    }
    void readOn()
  }

  /** Waits until a session that a failed commit threw away can be loaded again: its run has to leave first. */
  async #reload(): Promise<void> {
    const { manager } = this.#house
    for (;;) {
      try {
        await manager.getSession(this.#id)
        return
      } catch (refusal) {
        if (!(refusal instanceof Refusal)) throw refusal
        if (refusal.code !== 'store_unavailable') return
      }
      await new Promise(setImmediate)
    }
  }

  async #isGone(): Promise<boolean> {
    try {
      await this.#house.manager.getSession(this.#id)
      return false
    } catch (refusal) {
      return refusal instanceof Refusal && refusal.code === 'unknown_session'
    }
  }

  /** Runs until nothing waits any more. A session that hangs lets this hang (M6). */
  async #empty(): Promise<void> {
    const { manager, puppet } = this.#house
    for (;;) {
      const snapshot = await manager.getSessionSnapshot(this.#id)
      expect(snapshot.last_event_seq).toBeGreaterThanOrEqual(this.#head)
      this.#head = snapshot.last_event_seq
      const run = this.#run
      if (run !== undefined) {
        run.steering()
        while (run.followUp() !== undefined) this.#head += 1
        await run.end()
        await manager.waitStopped(this.#id, patience)
      } else if (snapshot.streaming) {
        await new Promise(setImmediate)
      } else {
        const waiting = this.#real.inputs(this.#id).length
        if (waiting === 0 && puppet.active.size === 0) return
        await manager.runSession(this.#id, { source: 'hand' }, { messages: [] }).catch((refusal: unknown) => {
          if (!(refusal instanceof Refusal && refusal.code === 'session_busy')) throw refusal
        })
      }
    }
  }

  #checkLog(log: readonly Entry[], snapshot: Snapshot): void {
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_, index) => index + 1))
    expect(log.slice(0, this.#told.length)).toEqual(this.#told)
    const gone = eventsOf(log, 'run_rolled_back').flatMap(({ message_ids }) => message_ids)
    const messages = log.flatMap((entry) => [
      ...eventsOf([entry], 'user_message').map(({ message, message_id }) => ({ text: message, id: message_id })),
      ...eventsOf([entry], 'message_added').map(({ message: { message }, message_id }) => {
        return { text: message.content, id: message_id }
      }),
    ])
    const left = messages.filter(({ id = '' }) => !gone.includes(id))
    expect(texts(snapshot.messages)).toEqual(left.map(({ text }) => text))
    expect(snapshot.streaming).toBe(false)
  }

  #checkInputs(log: readonly Entry[]): void {
    const delivered = eventsOf(log, 'user_message').map(({ message }) => message)
    const times = (text: string): number => delivered.filter((message) => message === text).length
    for (const { text, fate } of this.#said) {
      if (fate === 'accepted') expect([text, times(text)]).toEqual([text, 1])
      else if (fate === 'unknown') expect(times(text)).toBeLessThanOrEqual(1)
      else expect([text, times(text)]).toEqual([text, 0])
    }
    // What was sent without waiting for the answer of what was sent before may come before it.
    for (const { text, kind, before } of this.#said.filter((said) => delivered.includes(said.text))) {
      const later = delivered.slice(delivered.indexOf(text)).filter((one) => one.startsWith(`${kind} `))
      expect(later.filter((one) => before.includes(one))).toEqual([])
    }
    for (const key of new Set(this.#said.flatMap((said) => said.key ?? []))) {
      const same = this.#said.filter((said) => said.key === key)
      const had = same.reduce((sum, { text }) => sum + times(text), 0)
      const isKnown = same.some(({ fate }) => fate === 'accepted' || fate === 'duplicate')
      expect(had).toBe(isKnown ? 1 : Math.min(had, 1))
    }
  }

  /** What was asked for has come to an end that was told. */
  #checkCompactions(log: readonly Entry[]): void {
    expect(this.#real.session(this.#id)?.compaction).toBeUndefined()
    const compactions = eventsOf(log, 'session_compaction')
    if (this.#compactions.some(({ fate }) => fate === 'accepted')) expect(compactions).not.toEqual([])
    expect(compactions.at(-1)?.status ?? 'completed').toBe('completed')
  }

  #checkRequests(log: readonly Entry[]): void {
    const opened = eventsOf(log, 'request_opened').map(({ request }) => request.id)
    const settled = eventsOf(log, 'request_settled').map(({ request }) => request)
    expect(settled.map(({ id }) => id).sort()).toEqual(opened.toSorted())
    expect(new Set(opened).size).toBe(opened.length)
    for (const { request, fate } of this.#answered) {
      const winner = settled.find(({ id }) => id === request)
      if (fate === 'accepted') expect(winner).toMatchObject({ state: 'answered', decider: 'client' })
    }
    const accepted = this.#answered.filter(({ fate }) => fate === 'accepted').map(({ request }) => request)
    expect(new Set(accepted).size).toBe(accepted.length)
    for (const { question, answer } of this.#received) {
      expect(settled.find((request) => nameOf(request) === question)?.answer).toEqual(answer)
    }
  }
}

function isDuplicate(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'duplicate' in answer && answer.duplicate === true
}

function nameOf({ content }: Request): string | undefined {
  if (content.kind === 'continuation' || content.kind === 'recovery') return undefined
  return content.kind === 'approval' ? content.tool_call.id : content.message
}

/** Every run has one beginning and one end, and no two runs overlap. */
function checkRuns(
  log: readonly Entry[],
  runs: readonly { readonly run_id: string; readonly status: string; readonly last_seq?: number | undefined }[],
): void {
  let current: unknown
  const ends = new Map<unknown, number>()
  for (const { seq, event } of log) {
    if (event.type === 'stream_started') {
      expect(current).toBeUndefined()
      expect(ends.has(event.run_id)).toBe(false)
      current = event.run_id
    }
    if (event.type === 'run_recovered') {
      expect(event.run_id).toBe(current)
      expect(event.attempt).toBeLessThanOrEqual(3)
    }
    if (event.type === 'stream_stopped') {
      expect(event.run_id).toBe(current)
      ends.set(event.run_id, seq)
      current = undefined
    }
  }
  expect(current).toBeUndefined()
  expect(new Map(runs.map(({ run_id, last_seq }) => [run_id, last_seq]))).toEqual(ends)
  expect(runs.filter(({ status }) => status === 'running')).toEqual([])
}
