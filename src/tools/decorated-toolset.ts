import type { Tool, ToolCallResult } from '../protocol/protocol.ts'
import { failure } from './result.ts'
import type { CallContext, RequestHeaders, Toolset } from './tools.ts'

export interface Decoration {
  /** Stands before the names of all tools, with an underscore. */
  readonly name?: string | undefined
  /** The tools to keep, by their names with or without the prefix; all when nothing is said. */
  readonly tools?: readonly string[] | undefined
  /** Whether to keep only tools that are annotated as read-only. */
  readonly readonly?: boolean | undefined
  /** Takes the place of the toolset's own, which `{ORIGINAL_INSTRUCTIONS}` within it stands for. */
  readonly instruction?: string | undefined
}

/** A toolset as an agent file wants it seen. What is hidden cannot be called either. */
export class DecoratedToolset implements Toolset {
  readonly #inner: Toolset
  readonly #decoration: Decoration

  constructor(inner: Toolset, decoration: Decoration) {
    this.#inner = inner
    this.#decoration = decoration
  }

  get instruction(): string | undefined {
    const own = this.#inner.instruction
    return this.#decoration.instruction?.replaceAll('{ORIGINAL_INSTRUCTIONS}', () => own ?? '') ?? own
  }

  get tools(): readonly Tool[] {
    return this.#kept().map((tool) => ({ ...tool, name: this.#outer(tool) }))
  }

  start(signal: AbortSignal, headers?: RequestHeaders): Promise<void> {
    return this.#inner.start(signal, headers)
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    context.signal.throwIfAborted()
    const tool = this.#kept().find((tool) => this.#outer(tool) === name)
    if (tool === undefined) return failure(`There is no tool named ${name}.`)
    return await this.#inner.call(tool.name, args, context)
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  #kept(): readonly Tool[] {
    const { tools, readonly } = this.#decoration
    const listed = (tool: Tool) => !tools || tools.includes(tool.name) || tools.includes(this.#outer(tool))
    return this.#inner.tools.filter((tool) => listed(tool) && (!readonly || tool.annotations.readOnlyHint === true))
  }

  #outer(tool: Tool): string {
    const { name } = this.#decoration
    return name ? `${name}_${tool.name}` : tool.name
  }
}
