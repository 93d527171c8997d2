import {
  type ApprovalContent,
  type ElicitationContent,
  type Item,
  type Message,
  Refusal,
  type SafetyPolicy,
  type StopReason,
  type Verdict,
} from '../../src/protocol/protocol.ts'
import type {
  AgentRef,
  Agents,
  Answer,
  ModelSwitch,
  Question,
  RunContext,
  Runtime,
  RuntimeEvent,
} from '../../src/runtime/runtime.ts'

/** What an agent of a test does in a run. */
export type Script = (context: RunContext) => AsyncGenerator<RuntimeEvent, StopReason, void>

export interface TestAgent {
  readonly script: Script
  /** References that it can be switched to, the default first; without them it cannot be switched. */
  readonly models?: readonly string[] | undefined
  readonly safetyPolicy?: SafetyPolicy | undefined
  readonly tools?: number | undefined
}

/** Agents by source and name; the first of a source is its default. */
export type TestSources = Readonly<Record<string, Readonly<Record<string, TestAgent>>>>

/** The port `Agents` over scripts, small enough to be seen through. */
export class TestAgents implements Agents {
  readonly #sources: TestSources
  readonly #forgotten = new Set<string>()
  /** Runtimes that are open. */
  live = 0
  /** Set by a test: every `open` waits for it first. */
  loading: Promise<unknown> = Promise.resolve()
  /** Set by a test: every `open` fails with it. */
  broken: Error | undefined
  /** Set by a test: every `close` of a runtime waits for it. */
  closing: Promise<unknown> = Promise.resolve()

  constructor(sources: TestSources) {
    this.#sources = sources
  }

  async list() {
    return Object.keys(this.#sources).map((name) => ({ name, description: '', multi: false }))
  }

  async view(source: string) {
    const agents = Object.keys(this.#sources[source] ?? {}).map((Name) => ({ Name }))
    if (agents.length === 0) throw new Refusal('unknown_agent')
    return { agents, metadata: {} }
  }

  async toolCount(ref: AgentRef): Promise<number> {
    return this.#find(ref).agent.tools ?? 0
  }

  async open(ref: AgentRef): Promise<Runtime> {
    await this.loading
    if (this.broken !== undefined) throw this.broken
    const { name, agent } = this.#find(ref)
    this.live += 1
    const runtime = runtimeOf(name, agent)
    return {
      ...runtime,
      close: async () => {
        await this.closing
        this.live -= 1
      },
    }
  }

  async close(): Promise<void> {}

  /** From now on there is no such source. */
  forget(source: string): void {
    this.#forgotten.add(source)
  }

  #find({ source, name }: AgentRef): { readonly name: string; readonly agent: TestAgent } {
    const agents = this.#forgotten.has(source) ? {} : (this.#sources[source] ?? {})
    const found = name ?? Object.keys(agents)[0] ?? ''
    const agent = agents[found]
    if (agent === undefined) throw new Refusal('unknown_agent')
    return { name: found, agent }
  }
}

/** A runtime that carries out a script, also to be attached. */
export function runtimeOf(name: string, { script, models, safetyPolicy }: TestAgent): Runtime {
  const choices = models === undefined ? undefined : switchOver(models)
  return { agent: name, safetyPolicy, models: choices, run: script, close: async () => {} }
}

function switchOver(models: readonly string[]): ModelSwitch {
  return {
    choices(override, custom) {
      const refs = new Set([...models, ...custom, ...(override === undefined ? [] : [override])])
      const current = override ?? models[0]
      return [...refs].map((ref) => ({ name: ref, ref, ...(ref === current ? { is_current: true } : {}) }))
    },
    async check(ref) {
      if (!models.includes(ref) && !ref.includes('/')) throw new Refusal('invalid_model')
    },
  }
}

/** Answers what was said last in words of one delta each, then what is steered in and every follow-up. */
export const echo: TestAgent = {
  async *script(context) {
    for (let asked: string | undefined = lastText(context.history); asked !== undefined; asked = taken(context)) {
      for (const word of `you said ${asked}`.split(/(?<= )/)) {
        if (context.signal.aborted) return 'canceled'
        yield choice(word)
      }
      yield added(`you said ${asked}`)
    }
    return 'normal'
  },
}

function taken(context: RunContext): string | undefined {
  const steered = context.takeSteering()
  return (steered.length > 0 ? steered.at(-1) : context.takeFollowUp())?.message.content
}

function lastText(history: readonly Item[]): string {
  return history.at(-1)?.message?.message.content ?? ''
}

export function choice(content: string, agent_name = 'root'): RuntimeEvent {
  return { type: 'agent_choice', content, agent_name }
}

export function added(content: string, more: Partial<Message['message']> = {}): RuntimeEvent {
  return { type: 'message_added', message: { agent_name: 'root', message: { role: 'assistant', content, ...more } } }
}

export function approval(
  id: string,
  tool = 'shell',
  decide?: () => Verdict | undefined,
): { readonly content: ApprovalContent; readonly decide?: (() => Verdict | undefined) | undefined } {
  const tool_call = { id, type: 'function', function: { name: tool, arguments: '{}' } }
  const tool_definition = { name: tool, category: 'test', parameters: {}, annotations: {}, outputSchema: {} }
  return { content: { kind: 'approval', tool_call, tool_definition }, decide }
}

export function elicitation(message: string, callId?: string): { readonly content: ElicitationContent } {
  return { content: { kind: 'elicitation', message, ...(callId === undefined ? {} : { tool_call_id: callId }) } }
}

/** An agent whose runs a test drives by hand, one step at a time. */
export class Puppet implements TestAgent {
  readonly models: readonly string[] | undefined
  readonly safetyPolicy: SafetyPolicy | undefined
  readonly #stubborn: boolean
  readonly #started: PuppetRun[] = []
  readonly #wanted: ((run: PuppetRun) => void)[] = []
  /** Runs that have begun and not left. */
  readonly active = new Set<PuppetRun>()

  /** A stubborn one takes no notice of a stop. */
  constructor(more: Partial<TestAgent> & { readonly stubborn?: boolean } = {}) {
    this.models = more.models
    this.safetyPolicy = more.safetyPolicy
    this.#stubborn = more.stubborn ?? false
  }

  readonly script: Script = (context) => this.#play(new PuppetRun(context, this.#stubborn))

  /** The next run that begins, or has begun and was not asked for yet. */
  next(): Promise<PuppetRun> {
    const run = this.#started.shift()
    return run === undefined ? new Promise((resolve) => this.#wanted.push(resolve)) : Promise.resolve(run)
  }

  /** Runs that have begun and that nobody has asked for. */
  get unseen(): number {
    return this.#started.length
  }

  async *#play(run: PuppetRun): AsyncGenerator<RuntimeEvent, StopReason, void> {
    this.active.add(run)
    const wanted = this.#wanted.shift()
    if (wanted === undefined) this.#started.push(run)
    else wanted(run)
    try {
      return yield* run.steps()
    } finally {
      this.active.delete(run)
      run.leave()
    }
  }
}

type Step =
  | { readonly kind: 'tell'; readonly event: RuntimeEvent; readonly told: () => void }
  | { readonly kind: 'end'; readonly reason: StopReason }
  | { readonly kind: 'throw'; readonly error: unknown }

/** One run of a {@link Puppet}. */
export class PuppetRun {
  readonly context: RunContext
  readonly #stubborn: boolean
  readonly #steps: Step[] = []
  #wake = (): void => {}
  readonly #left = Promise.withResolvers<void>()

  constructor(context: RunContext, stubborn: boolean) {
    this.context = context
    this.#stubborn = stubborn
  }

  /** Resolves when the run has left. */
  get left(): Promise<void> {
    return this.#left.promise
  }

  /** Tells an event; resolves when the session has taken it, or the run has left. */
  tell(event: RuntimeEvent): Promise<void> {
    const told = new Promise<void>((resolve) => this.#add({ kind: 'tell', event, told: resolve }))
    return Promise.race([told, this.left])
  }

  say(text: string): Promise<void> {
    return this.tell(choice(text))
  }

  /** Ends the answer that was said in deltas. */
  answer(text: string, more: Partial<Message['message']> = {}): Promise<void> {
    return this.tell(added(text, more))
  }

  ask<Q extends Question>(question: Q): Promise<Answer<Q>> {
    return this.context.ask(question)
  }

  steering(): readonly string[] {
    return this.context.takeSteering().map(({ message }) => message.content)
  }

  followUp(): string | undefined {
    return this.context.takeFollowUp()?.message.content
  }

  end(reason: StopReason = 'normal'): Promise<void> {
    this.#add({ kind: 'end', reason })
    return this.left
  }

  fail(error: unknown): Promise<void> {
    this.#add({ kind: 'throw', error })
    return this.left
  }

  async *steps(): AsyncGenerator<RuntimeEvent, StopReason, void> {
    const { signal } = this.context
    signal.addEventListener('abort', () => this.#wake())
    for (;;) {
      if (signal.aborted && !this.#stubborn) return 'canceled'
      const step = this.#steps.shift()
      if (step === undefined) await new Promise<void>((resolve) => this.#sleep(resolve))
      else if (step.kind === 'end') return step.reason
      else if (step.kind === 'throw') throw step.error
      else {
        yield step.event
        step.told()
      }
    }
  }

  leave(): void {
    this.#left.resolve()
  }

  #sleep(resolve: () => void): void {
    this.#wake = resolve
  }

  #add(step: Step): void {
    this.#steps.push(step)
    this.#wake()
  }
}
