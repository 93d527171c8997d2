import {
  type AgentFileView,
  type AgentSummary,
  type ErrorCode,
  type Message,
  type ModelChoice,
  Refusal,
  type StopReason,
  type ToolCall,
} from '../../src/protocol/protocol.ts'
import type { AgentRef, Agents, RunContext, Runtime, RuntimeEvent } from '../../src/runtime/runtime.ts'

type Run = AsyncGenerator<RuntimeEvent, StopReason, void>

/** What an agent does when it is run; `gate` opens when the test says so. */
export type Script = (context: RunContext, gate: Promise<void>) => Run

const refusals: Readonly<Record<string, ErrorCode>> = {
  damaged: 'invalid_agent_file',
  later: 'agent_not_supported',
  away: 'agent_source_unavailable',
}

/** Agents whose behaviour is their name; `scripts` adds to it. */
export class TestAgents implements Agents {
  readonly scripts: Record<string, Script> = { echo, gated, stubborn, asker, elicitor, spender, fixed: echo }
  /** Thrown by everything that is asked of the agents. */
  fault: Error | undefined
  /** Sources that refuse, although they have a script. */
  readonly #changed = new Map<string, ErrorCode>()
  #gate = Promise.withResolvers<void>()

  /** Lets everybody go on who waits. */
  openGate(): void {
    this.#gate.resolve()
  }

  /** Everything that is asked of the agents is refused. */
  refuse(code: ErrorCode): void {
    this.fault = new Refusal(code)
  }

  /** A source is refused from now on. */
  become(source: string, code: ErrorCode): void {
    this.#changed.set(source, code)
  }

  async list(): Promise<readonly AgentSummary[]> {
    if (this.fault !== undefined) throw this.fault
    return Object.keys(this.scripts).map((name) => ({ name, description: `the agent ${name}`, multi: false }))
  }

  async view(source: string): Promise<AgentFileView> {
    this.#find(source)
    return { agents: [{ Name: 'root', model: 'test/model' }], metadata: {} }
  }

  async toolCount({ source, name }: AgentRef): Promise<number> {
    this.#find(source, name)
    return 0
  }

  async open({ source, name }: AgentRef): Promise<Runtime> {
    const script = this.#find(source, name)
    return {
      agent: name ?? 'root',
      safetyPolicy: undefined,
      models: source === 'fixed' ? undefined : { choices, check },
      ...(source !== 'fixed' && { compact: (context) => script(context, this.#gate.promise) }),
      run: (context) => script(context, this.#gate.promise),
      close: async () => {},
    }
  }

  async close(): Promise<void> {
    this.openGate()
  }

  #find(source: string, name = 'root'): Script {
    if (this.fault !== undefined) throw this.fault
    const code = this.#changed.get(source) ?? refusals[source]
    if (code !== undefined) throw new Refusal(code)
    const script = this.scripts[source]
    if (script === undefined || name === 'ghost') throw new Refusal('unknown_agent')
    return script
  }
}

function choices(override: string | undefined): readonly ModelChoice[] {
  const ref = 'test/model'
  const own: ModelChoice = { name: 'model', ref, is_default: true, is_current: override === undefined }
  return override === undefined ? [own] : [own, { name: override, ref: override, is_current: true }]
}

async function check(ref: string): Promise<void> {
  if (!ref.startsWith('test/')) throw new Refusal('invalid_model')
}

export function say(content: string): RuntimeEvent {
  return { type: 'agent_choice', agent_name: 'root', content }
}

export function answer(content: string): RuntimeEvent {
  const message: Message = { agent_name: 'root', message: { role: 'assistant', content, finish_reason: 'stop' } }
  return { type: 'message_added', message }
}

/** Says back what the user said last. */
async function* echo({ history }: RunContext): Run {
  const last = history.findLast(({ message }) => message?.message.role === 'user')?.message?.message.content ?? ''
  yield say(last)
  yield answer(last)
  return 'normal'
}

/** Has spent what it may. */
async function* spender(): Run {
  const used = { budget: 'run', limit: 'max_cost', used: 2, max: 1 } as const
  yield { type: 'budget_exceeded', ...used, config_path: 'budget.max_cost', message: 'that is all' }
  return 'budget_exceeded'
}

/** Says one thing, waits for the gate, and says another. */
async function* gated({ signal }: RunContext, gate: Promise<void>): Run {
  yield say('one ')
  await Promise.race([gate, aborted(signal)])
  signal.throwIfAborted()
  yield say('two')
  yield answer('one two')
  return 'normal'
}

/** Does not leave before the gate opens, whatever it is told. */
async function* stubborn(_context: RunContext, gate: Promise<void>): Run {
  yield say('no')
  await gate
  return 'normal'
}

const call: ToolCall = { id: 'call_1', type: 'function', function: { name: 'shell', arguments: '{"cmd":"ls"}' } }
const tool = { name: 'shell', category: 'shell', parameters: {}, annotations: {}, outputSchema: {} }

/** Asks for approval, and says what the person said. */
async function* asker({ ask }: RunContext): Run {
  const content = { kind: 'approval', tool_call: call, tool_definition: tool } as const
  const { confirmation } = await ask({ content })
  yield answer(confirmation)
  return 'normal'
}

/** Asks for input, and says what the person did. */
async function* elicitor({ ask }: RunContext): Run {
  const { action } = await ask({ content: { kind: 'elicitation', message: 'which one?' } })
  yield answer(action)
  return 'normal'
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
