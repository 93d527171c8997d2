import type { Tool, ToolCallResult } from '../protocol/protocol.ts'
import type { BuiltInTool } from './built-in-tool.ts'
import { unlessAborted } from './mcp/unless-aborted.ts'
import { failure, resultOf } from './result.ts'
import type { CallContext, RequestHeaders, Toolset } from './tools.ts'

/** What a toolset has while it is started. */
export interface Opened {
  readonly tools: readonly BuiltInTool[]
  readonly instruction?: string | undefined
  /** Called once, when no call is left. */
  close?(): void | Promise<void>
}

type Open = (signal: AbortSignal, headers: RequestHeaders) => Opened | Promise<Opened>

interface Life {
  readonly opened: Opened
  readonly stopped: AbortSignal
}

/** A start that is under way, or has been carried out. It belongs to the toolset: whoever waits for it may leave. */
interface Start {
  readonly life: Promise<Life>
  readonly stop: AbortController
}

/** A toolset of this program: the calls, their ends and their failures, around tools that know nothing of it. */
export class BuiltInToolset implements Toolset {
  readonly #open: Open
  readonly #calls = new Set<Promise<unknown>>()
  #start: Start | undefined
  #closing: Promise<void> | undefined
  #life: Life | undefined

  /** `open` makes the tools ready; it throws a `ToolsetFailure` when they cannot be. */
  constructor(open: Open) {
    this.#open = open
  }

  get instruction(): string | undefined {
    return this.#life?.opened.instruction
  }

  get tools(): readonly Tool[] {
    return this.#life?.opened.tools.map(({ tool }) => tool) ?? []
  }

  async start(signal: AbortSignal, headers: RequestHeaders = {}): Promise<void> {
    await this.#closing
    signal.throwIfAborted()
    this.#start ??= this.#begin(headers)
    await unlessAborted(this.#start.life, signal)
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    context.signal.throwIfAborted()
    const life = this.#life
    const tool = life?.opened.tools.find(({ tool }) => tool.name === name)
    if (life === undefined || tool === undefined) return failure(`There is no tool named ${name}.`)
    const running = this.#run(tool, args, context, life.stopped)
    this.#calls.add(running)
    try {
      return await running
    } finally {
      this.#calls.delete(running)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#end().finally(() => {
      this.#closing = undefined
    })
    return this.#closing
  }

  #begin(headers: RequestHeaders): Start {
    const stop = new AbortController()
    const start = { life: this.#opened(stop.signal, headers), stop }
    // One that has failed is tried again by the next who comes.
    start.life.catch(() => {
      if (this.#start === start) this.#start = undefined
    })
    return start
  }

  async #opened(stopped: AbortSignal, headers: RequestHeaders): Promise<Life> {
    const opened = await this.#open(stopped, headers)
    this.#life = { opened, stopped }
    return this.#life
  }

  async #end(): Promise<void> {
    const start = this.#start
    start?.stop.abort()
    const life = await start?.life.catch(() => undefined)
    this.#start = undefined
    this.#life = undefined
    await Promise.allSettled(this.#calls)
    await life?.opened.close?.()
  }

  async #run(tool: BuiltInTool, args: unknown, context: CallContext, stopped: AbortSignal): Promise<ToolCallResult> {
    const signal = AbortSignal.any([context.signal, stopped])
    const inner: CallContext = {
      callId: context.callId,
      signal,
      output: (chunk) => context.output(chunk),
      elicit: (question) => settled(context.elicit(question), signal),
      headers: context.headers,
    }
    try {
      const result = await tool.run(args, inner)
      context.signal.throwIfAborted()
      return result
    } catch (error) {
      context.signal.throwIfAborted()
      const result = stopped.aborted ? failure('The toolset was stopped during the call.') : resultOf(error)
      if (result === undefined) throw error
      return result
    }
  }
}

/** A person may answer long after the toolset was stopped; nobody waits for that. */
function settled<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason)
    if (signal.aborted) leave()
    signal.addEventListener('abort', leave, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave))
  })
}
