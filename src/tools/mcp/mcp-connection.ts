import { setTimeout as delay } from 'node:timers/promises'
import {
  type CallToolResult,
  Client,
  type ElicitRequestParams,
  type ElicitResult,
  type Tool as ServerTool,
} from '@modelcontextprotocol/client'
import type { RequestHeaders } from '../tools.ts'
import { ConnectFailure } from './failures.ts'
import type { Link, LinkTransport } from './link.ts'
import { type ListedTool, listTools } from './listed-tool.ts'
import type { Loss } from './loss.ts'
import { MessageRate } from './message-rate.ts'
import type { OpenCall } from './open-call.ts'
import { unlessAborted } from './unless-aborted.ts'

/** How long a server may take to say whether it speaks the newer era, before it is taken for one of the older. */
const probeMs = 5000
/** How long a list of tools may take once the server runs. */
const listMs = 10_000
/** The shortest time between two readings of a list that keeps changing. */
const rereadMs = 100
/** The library cannot wait for ever; our own clock stops while a person thinks. */
const longestMs = 2_147_483_647

type Era = 'auto' | 'legacy'

export interface ConnectionEvents {
  /** The server is gone; told once. The connection still wants to be closed. */
  lost(loss: Loss): void
  elicit(params: ElicitRequestParams): Promise<ElicitResult>
  /** Headers of the API request that the toolset works for now. */
  headers(): RequestHeaders
}

/** One session with one server, from the first word to the last. */
export class McpConnection {
  readonly #client: Client
  readonly #transport: LinkTransport
  readonly #events: ConnectionEvents
  readonly #closing = new AbortController()
  readonly #rate = new MessageRate()
  #tools: ReadonlyMap<string, ListedTool> = new Map()
  #loss: Loss | undefined
  #stale = false
  #reading: Promise<void> | undefined
  #rereading: Promise<void> | undefined

  private constructor(link: Link, era: Era, events: ConnectionEvents) {
    this.#events = events
    this.#transport = link.open(
      (loss) => this.#lose(loss),
      () => events.headers(),
    )
    this.#transport.onmessage = () => {
      if (this.#rate.exceeds()) this.#lose({ reason: 'sent too many messages', clean: false })
    }
    this.#client = new Client(
      { name: 'quarterdeck', version: '1' },
      {
        capabilities: { elicitation: { form: { applyDefaults: true }, url: {} } },
        versionNegotiation: { mode: era, probe: { timeoutMs: probeMs } },
        listChanged: { tools: { autoRefresh: false, debounceMs: 0, onChanged: () => this.#listChanged() } },
      },
    )
    this.#client.setRequestHandler('elicitation/create', ({ params }) => events.elicit(params))
  }

  /** Connects and reads the tools. Where the newer era does not work, the older is tried. */
  static async open(link: Link, events: ConnectionEvents, signal: AbortSignal): Promise<McpConnection> {
    if (!link.mayBeModern) return await McpConnection.#openAs('legacy', link, events, signal)
    try {
      return await McpConnection.#openAs('auto', link, events, signal)
    } catch (error) {
      if (signal.aborted) throw error
      return await McpConnection.#openAs('legacy', link, events, signal)
    }
  }

  static async #openAs(era: Era, link: Link, events: ConnectionEvents, signal: AbortSignal): Promise<McpConnection> {
    const connection = new McpConnection(link, era, events)
    try {
      await unlessAborted(connection.#start(), signal)
      return connection
    } catch (error) {
      await connection.close()
      throw new ConnectFailure(error, connection.#loss, connection.#transport.stderr ?? '')
    }
  }

  /** What the server says about the use of its tools. */
  get instruction(): string | undefined {
    return this.#client.getInstructions()
  }

  /** By the names that models use. */
  get tools(): ReadonlyMap<string, ListedTool> {
    return this.#tools
  }

  get loss(): Loss | undefined {
    return this.#loss
  }

  async call(tool: ListedTool, args: Readonly<Record<string, unknown>>, call: OpenCall): Promise<CallToolResult> {
    const { definition } = tool
    const result = await this.#client.callTool(
      { name: definition.name, arguments: { ...args } },
      {
        signal: call.signal,
        timeout: longestMs,
        toolDefinition: definition,
        onprogress: (progress) => call.tell(progress),
      },
    )
    // A call may have changed the list, and the next turn should know.
    await this.#reading
    return result
  }

  /** Finds out whether the server answers at all; one that does not is lost. */
  async check(callTimeoutMs: number): Promise<void> {
    await this.#readTools(Math.min(callTimeoutMs / 2, listMs)).catch(() =>
      this.#lose({ reason: 'does not answer any more', clean: false }),
    )
  }

  /** Settles when nothing of the connection is left. Twice is harmless. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#client.close().catch(() => {})
    await this.#transport.close().catch(() => {})
    await this.#rereading
  }

  async #start(): Promise<void> {
    await this.#client.connect(this.#transport, { timeout: longestMs })
    await this.#readTools()
  }

  async #readTools(timeout = listMs): Promise<void> {
    if (!this.#client.getServerCapabilities()?.tools) return
    const options = { cacheMode: 'bypass', timeout, signal: this.#closing.signal } as const
    const { tools }: { tools: readonly ServerTool[] } = await this.#client.listTools(undefined, options)
    this.#tools = listTools(tools)
  }

  #listChanged(): void {
    this.#stale = true
    this.#rereading ??= this.#reread().finally(() => {
      this.#rereading = undefined
    })
  }

  /** A list that cannot be read stays as it was. */
  async #reread(): Promise<void> {
    while (this.#stale && !this.#closing.signal.aborted) {
      this.#stale = false
      this.#reading = this.#readTools().catch(() => {})
      await this.#reading
      await delay(rereadMs, undefined, { signal: this.#closing.signal }).catch(() => {})
    }
  }

  #lose(loss: Loss): void {
    if (this.#loss || this.#closing.signal.aborted) return
    this.#loss = loss
    this.#events.lost(loss)
  }
}
