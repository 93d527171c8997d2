import { setTimeout as delay } from 'node:timers/promises'
import {
  type CallToolResult,
  type ElicitRequestParams,
  type ElicitResult,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/client'
import type { Tool, ToolCallResult } from '../../protocol/protocol.ts'
import { readFields } from '../arguments.ts'
import { failure } from '../result.ts'
import type { CallContext, RequestHeaders, ToolEnvironment, Toolset } from '../tools.ts'
import { ToolsetFailure } from '../toolset-failure.ts'
import { describeFailure, Unavailable } from './failures.ts'
import { IncomingHeaders } from './incoming-headers.ts'
import { type Lifecycle, readLifecycle } from './lifecycle.ts'
import { createLink, type Link } from './link.ts'
import type { ListedTool } from './listed-tool.ts'
import type { Loss } from './loss.ts'
import { McpConnection } from './mcp-connection.ts'
import type { McpDefinition } from './mcp-definition.ts'
import { callScope, OpenCall } from './open-call.ts'
import { toToolCallResult } from './tool-result.ts'
import { unlessAborted } from './unless-aborted.ts'

/** How often one call may send a person to addresses before it goes on, and to how many at a time. */
const urlLimit = 3
const instructionLimit = 16 * 1024

type State =
  | { readonly is: 'stopped' }
  | { readonly is: 'up'; readonly connection: McpConnection }
  /** The server is gone and the next call starts it again, no sooner than its time has come. */
  | { readonly is: 'down'; readonly last: McpConnection; readonly since: number }
  /** The server is gone until a run begins. */
  | { readonly is: 'failed'; readonly reason: string }

interface Opening {
  readonly work: Promise<McpConnection>
  readonly abort: AbortController
}

/**
 * The tools of one MCP server. A server that is lost fails the calls that are under way; the next call starts it again, as
 * its lifecycle allows. Throws {@link ToolsetFailure} when the definition cannot be followed.
 */
export function createMcpToolset(definition: McpDefinition, environment: ToolEnvironment): Toolset {
  return new McpToolset(createLink(definition, environment), readLifecycle(definition.lifecycle))
}

class McpToolset implements Toolset {
  readonly #link: Link
  readonly #lifecycle: Lifecycle
  readonly #calls = new Set<OpenCall>()
  readonly #incoming = new IncomingHeaders()
  /** Connections that are lost and not quite gone. */
  readonly #ending = new Set<Promise<void>>()
  #state: State = { is: 'stopped' }
  /** As whom the server was last asked to let us in. */
  #identity = ''
  /** A start that is under way. It belongs to the toolset: whoever waits for it may leave. */
  #opening: Opening | undefined
  #closing: Promise<void> | undefined
  /** In a row, without an answered call. */
  #restarts = 0
  /** A call ran into its limit, so the server may hang. */
  #doubtful = false

  constructor(link: Link, lifecycle: Lifecycle) {
    this.#link = link
    this.#lifecycle = lifecycle
  }

  get instruction(): string | undefined {
    return this.#known?.instruction?.slice(0, instructionLimit)
  }

  get tools(): readonly Tool[] {
    return [...(this.#known?.tools.values() ?? [])].map(({ tool }) => tool)
  }

  async start(signal: AbortSignal, headers: RequestHeaders = {}): Promise<void> {
    signal.throwIfAborted()
    await this.#closing
    await this.#workFor(headers, signal)
    if (this.#state.is === 'up') return
    try {
      this.#opening ??= this.#open(0)
      await unlessAborted(this.#opening.work, signal)
      this.#restarts = 0
    } catch (error) {
      signal.throwIfAborted()
      throw new ToolsetFailure(
        `the MCP server ${this.#link.label} ${describeFailure(error, this.#link.secrets)}`,
        error,
      )
    }
  }

  async call(name: string, args: unknown, context: CallContext): Promise<ToolCallResult> {
    context.signal.throwIfAborted()
    const call = new OpenCall(context, this.#lifecycle.callTimeoutMs)
    this.#calls.add(call)
    try {
      const answer = await callScope.run(call, () => this.#carryOut(name, args, call))
      context.signal.throwIfAborted()
      return answer
    } finally {
      this.#calls.delete(call)
      call.end()
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close().finally(() => {
      this.#closing = undefined
    })
    return this.#closing
  }

  /** What a server let in as somebody else is not used for this request. */
  async #workFor(headers: RequestHeaders, run: AbortSignal): Promise<void> {
    const identity = this.#link.identityOf(headers)
    if (identity !== this.#identity) await this.close()
    this.#identity = identity
    this.#incoming.take(headers, run)
  }

  /** The connection whose tools can be called, be it after a restart. */
  get #known(): McpConnection | undefined {
    if (this.#state.is === 'up') return this.#state.connection
    return this.#state.is === 'down' ? this.#state.last : undefined
  }

  async #carryOut(name: string, args: unknown, call: OpenCall): Promise<ToolCallResult> {
    let connection: McpConnection | undefined
    let result: CallToolResult
    try {
      connection = await this.#ready(call.signal)
      const tool = connection.tools.get(name)
      if (!tool) return failure(`There is no tool named ${name}.`)
      const read = readFields(tool.tool.parameters, args)
      if (!read.ok) return read.result
      result = await ask(connection, tool, read.args, call)
    } catch (error) {
      return failure(this.#explain(error, connection, call))
    }
    this.#restarts = 0
    return toToolCallResult(result)
  }

  #explain(error: unknown, connection: McpConnection | undefined, call: OpenCall): string {
    const reason = connection?.loss?.reason ?? describeFailure(error)
    if (!call.timedOut) return `The MCP server ${this.#link.label} ${reason}.`
    this.#doubtful = true
    return `The MCP server ${this.#link.label} did not answer within ${this.#lifecycle.callTimeoutMs / 1000} seconds.`
  }

  /** A connection to a server that is there, started again if that is allowed. */
  async #ready(signal: AbortSignal): Promise<McpConnection> {
    if (this.#state.is === 'up' && this.#doubtful) {
      this.#doubtful = false
      await unlessAborted(this.#state.connection.check(this.#lifecycle.callTimeoutMs), signal)
    }
    const state = this.#state
    switch (state.is) {
      case 'up':
        return state.connection
      case 'down':
        this.#opening ??= this.#open(this.#pauseMs(state.since))
        return await unlessAborted(this.#opening.work, signal)
      case 'failed':
        throw new Unavailable(`${state.reason} and is not started again`)
      case 'stopped':
        throw new Unavailable('is not started')
    }
  }

  #pauseMs(since: number): number {
    return Math.max(0, since + this.#lifecycle.backoffMs(this.#restarts + 1) - performance.now())
  }

  #open(pauseMs: number): Opening {
    const abort = new AbortController()
    // What happens from now on happens in the name of no call, even if a call is the reason for it.
    const work = callScope.run(undefined, () => this.#connect(pauseMs, abort.signal))
    const opening = { work, abort }
    const forget = () => {
      if (this.#opening === opening) this.#opening = undefined
    }
    work.then(forget, forget)
    return opening
  }

  async #connect(pauseMs: number, signal: AbortSignal): Promise<McpConnection> {
    await delay(pauseMs, undefined, { signal })
    if (this.#state.is === 'down') this.#restarts += 1
    const limit = AbortSignal.any([signal, AbortSignal.timeout(this.#lifecycle.startTimeoutMs)])
    const events = {
      lost: (loss: Loss) => this.#lost(loss),
      elicit: (params: ElicitRequestParams) => this.#elicit(params),
      headers: () => this.#incoming.now,
    }
    try {
      const connection = await McpConnection.open(this.#link, events, limit)
      const gone = signal.aborted ? signal.reason : connection.loss && new Unavailable(connection.loss.reason)
      if (gone) {
        await connection.close()
        throw gone
      }
      this.#state = { is: 'up', connection }
      this.#doubtful = false
      return connection
    } catch (error) {
      const reason = describeFailure(error)
      if (this.#state.is === 'down') this.#state = this.#afterLoss({ reason, clean: false }, this.#state.last)
      throw error
    }
  }

  #lost(loss: Loss): void {
    if (this.#state.is !== 'up') return
    const { connection } = this.#state
    this.#state = this.#afterLoss(loss, connection)
    const ending = connection.close().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  #afterLoss(loss: Loss, last: McpConnection): State {
    const { restart, maxRestarts } = this.#lifecycle
    // A remote server may close the connection for its own reasons and be well.
    const wanted = restart === 'always' || (restart === 'on_failure' && (this.#link.remote || !loss.clean))
    if (wanted && this.#restarts < maxRestarts) return { is: 'down', last, since: performance.now() }
    return { is: 'failed', reason: loss.reason }
  }

  /** Puts a question to the person behind the call it belongs to: the newest, where the server does not say which. */
  async #elicit(params: ElicitRequestParams): Promise<ElicitResult> {
    const call = callScope.getStore() ?? [...this.#calls].at(-1)
    return call && this.#calls.has(call) ? await call.elicit(params) : { action: 'decline' }
  }

  async #close(): Promise<void> {
    const reason = new Unavailable('was stopped')
    const state = this.#state
    this.#state = { is: 'stopped' }
    this.#restarts = 0
    for (const call of this.#calls) call.abort(reason)
    this.#opening?.abort.abort(reason)
    await this.#opening?.work.catch(() => {})
    if (state.is === 'up') await state.connection.close()
    await Promise.all(this.#ending)
  }
}

/** Calls a tool, and again when a person had to visit an address first. */
async function ask(
  connection: McpConnection,
  tool: ListedTool,
  args: Readonly<Record<string, unknown>>,
  call: OpenCall,
): Promise<CallToolResult> {
  for (let round = 1; ; round++) {
    try {
      return await unlessAborted(connection.call(tool, args, call), call.signal)
    } catch (error) {
      if (!(error instanceof UrlElicitationRequiredError) || round > urlLimit) throw error
      if (!(await visitAll(error.elicitations.slice(0, urlLimit), call))) throw error
    }
  }
}

async function visitAll(questions: UrlElicitationRequiredError['elicitations'], call: OpenCall): Promise<boolean> {
  for (const question of questions) {
    const { action } = await unlessAborted(call.elicit({ ...question, mode: 'url' }), call.signal)
    if (action !== 'accept') return false
  }
  return questions.length > 0
}
