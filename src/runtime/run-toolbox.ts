import type { Tool, ToolCallResult } from '../protocol/protocol.ts'
import type { CallContext, Toolset } from '../tools/tools.ts'
import type { Toolbox } from './toolbox.ts'

/** The tools of an agent in one run: those of its toolsets, and those that the runtime carries out itself. */
export class RunToolbox {
  readonly #toolbox: Toolbox
  readonly #own: readonly Toolset[]

  constructor(toolbox: Toolbox, own: readonly Toolset[]) {
    this.#toolbox = toolbox
    this.#own = own
  }

  /** What can be called now. The runtime's own tools come first, and win over others of their name. */
  get tools(): readonly Tool[] {
    const own = this.#own.flatMap(({ tools }) => tools)
    return [...own, ...this.#toolbox.tools.filter(({ name }) => !own.some((tool) => tool.name === name))]
  }

  get instructions(): readonly string[] {
    const own = this.#own.flatMap(({ instruction }) => (instruction === undefined ? [] : [instruction]))
    return [...own, ...this.#toolbox.instructions]
  }

  /** The model that is to read what a tool answers, if not the agent's own. */
  modelOf(name: string): string | undefined {
    return this.isOwn(name) ? undefined : this.#toolbox.modelOf(name)
  }

  isOwn(name: string): boolean {
    return this.#ownerOf(name) !== undefined
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    return await (this.#ownerOf(name) ?? this.#toolbox).call(name, args, context)
  }

  #ownerOf(name: string): Toolset | undefined {
    return this.#own.find(({ tools }) => tools.some((tool) => tool.name === name))
  }
}
