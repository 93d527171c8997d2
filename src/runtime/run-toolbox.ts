import type { Agent } from '../agent-file/agent-file.ts'
import type { Tool, ToolCallResult } from '../protocol/protocol.ts'
import { type CallContext, type RerunDefinition, type RerunRule, rerunRule, type Toolset } from '../tools/tools.ts'
import { withDescription } from './description-parameter.ts'
import { type AskingRules, questionExpiry } from './question-expiry.ts'
import type { Expiry } from './runtime.ts'
import { watchedCall } from './tool-watch.ts'
import type { Toolbox } from './toolbox.ts'

/** A toolset of the runtime itself. */
export interface OwnToolset {
  readonly toolset: Toolset
  /** What an agent is told about the others before it is told who it is. */
  readonly rules?: string | undefined
  /** Reads what its tools answer, in place of the agent's own model. */
  readonly model?: string | undefined
  readonly asking?: AskingRules | undefined
  /** What the file says about calls that a restart cut. */
  readonly rerun?: RerunDefinition | undefined
}

/** The tools of an agent in one run: those of its toolsets, and those that the runtime carries out itself. */
export class RunToolbox {
  readonly #toolbox: Toolbox
  readonly #own: readonly OwnToolset[]
  /** Whether models are to say why they call a tool. */
  readonly #described: boolean
  readonly #silenceMs: number

  /** `silenceMs`: how long a call of the agent's toolsets may say nothing before it is ended; `Infinity` is never. */
  constructor(
    toolbox: Toolbox,
    own: readonly OwnToolset[],
    { add_description_parameter: described = false }: Agent,
    silenceMs = Number.POSITIVE_INFINITY,
  ) {
    this.#toolbox = toolbox
    this.#own = own
    this.#described = described
    this.#silenceMs = silenceMs
  }

  /** What can be called now. The runtime's own tools come first, and win over others of their name. */
  get tools(): readonly Tool[] {
    const own = this.#own.flatMap(({ toolset }) => toolset.tools)
    const tools = [...own, ...this.#toolbox.tools.filter(({ name }) => !own.some((tool) => tool.name === name))]
    return this.#described ? tools.map(withDescription) : tools
  }

  /** What the model is told about the other agents of its team. */
  get rules(): readonly string[] {
    return this.#own.flatMap(({ rules }) => rules ?? [])
  }

  get instructions(): readonly string[] {
    const own = this.#own.flatMap(({ toolset }) => toolset.instruction ?? [])
    return [...own, ...this.#toolbox.instructions]
  }

  /** The model that is to read what a tool answers, if not the agent's own. */
  modelOf(name: string): string | undefined {
    return (this.#ownerOf(name) ?? { model: this.#toolbox.modelOf(name) }).model
  }

  /** How long a question that a call of a tool leads to waits, as far as the agent file says so. */
  expiryOf(name: string, kind: keyof AskingRules): Expiry | undefined {
    const own = this.#ownerOf(name)
    return questionExpiry(own === undefined ? this.#toolbox.askingOf(name) : (own.asking ?? {}), kind)
  }

  /** What becomes of a call that was running when the process died. */
  rerunRule(name: string): RerunRule {
    const owner = this.#ownerOf(name)
    const tool = owner?.toolset.tools.find((tool) => tool.name === name)
    return tool === undefined ? this.#toolbox.rerunRule(name) : rerunRule(tool, owner?.rerun)
  }

  isOwn(name: string): boolean {
    return this.#ownerOf(name) !== undefined
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    const own = this.#ownerOf(name)?.toolset
    // The runtime's own tools wait for other agents, who may be silent as long as their own models and tools may.
    if (own !== undefined) return await own.call(name, args, context)
    return await watchedCall(this.#silenceMs, context, (watched) => this.#toolbox.call(name, args, watched))
  }

  #ownerOf(name: string): OwnToolset | undefined {
    return this.#own.find(({ toolset }) => toolset.tools.some((tool) => tool.name === name))
  }
}
