import { type AgentSummary, Refusal } from '../protocol/protocol.ts'
import { type AgentSources, type LoadedAgentFile, versionOf } from './agent-sources.ts'
import { summarise } from './agent-summary.ts'
import { guardedFetch } from './guarded-fetch.ts'
import { unknownAgent } from './local-sources.ts'
import { parseAgentFile } from './parse-agent-file.ts'

export interface UrlSourceOptions {
  readonly gitHubToken: string | undefined
  /** Milliseconds between refreshes; 0 for none. */
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** A source that is one file behind a URL, kept in memory. */
export class UrlSource implements AgentSources {
  readonly #url: URL
  readonly #options: UrlSourceOptions
  readonly #closed = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #refreshing: Promise<void> | undefined
  #etag: string | undefined
  #loaded: LoadedAgentFile
  #refusal: Refusal | undefined

  /** Fetches the file once. Throws `agent_source_unavailable` or `invalid_agent_file`. */
  static async open(url: URL, options: UrlSourceOptions): Promise<UrlSource> {
    const fetched = await guardedFetch(url, {
      gitHubToken: options.gitHubToken,
      signal: AbortSignal.timeout(options.timeoutMs),
    })
    if (!fetched.changed) throw new Refusal('agent_source_unavailable', `${url.href} sent nothing`)
    return new UrlSource(url, options, parsed(url, fetched.text), fetched.etag)
  }

  private constructor(url: URL, options: UrlSourceOptions, loaded: LoadedAgentFile, etag: string | undefined) {
    this.#url = url
    this.#options = options
    this.#loaded = loaded
    this.#etag = etag
    if (options.intervalMs > 0) this.#timer = setInterval(() => void this.refresh(), options.intervalMs).unref()
  }

  list(): readonly AgentSummary[] {
    const summary = summarise(this.#loaded.key, this.#loaded.file)
    return [this.#refusal === undefined ? summary : { ...summary, error: this.#refusal.message }]
  }

  /** Takes the key, the URL itself, and either of them with another query or fragment. */
  get(key: string): LoadedAgentFile {
    if (key === this.#loaded.key || withoutQuery(key) === withoutQuery(this.#url.href)) return this.#loaded
    throw unknownAgent(key)
  }

  refresh(): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.resolve()
    this.#refreshing ??= this.#fetch().finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    this.#closed.abort()
    await this.#refreshing
  }

  async #fetch(): Promise<void> {
    const { gitHubToken, timeoutMs } = this.#options
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(timeoutMs)])
    try {
      const fetched = await guardedFetch(this.#url, { etag: this.#etag, gitHubToken, signal })
      if (fetched.changed) {
        this.#etag = undefined // until it is known that this text can be used
        const next = parsed(this.#url, fetched.text)
        if (next.version !== this.#loaded.version) this.#loaded = next
        this.#etag = fetched.etag
      }
      this.#refusal = undefined
    } catch (error) {
      this.#refusal = error instanceof Refusal ? error : new Refusal('internal', String(error), { cause: error })
    }
  }
}

/** Escapes as Go's `url.QueryEscape` does. */
export function queryEscape(text: string): string {
  const strict = encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return strict.replaceAll('%20', '+')
}

function parsed(url: URL, text: string): LoadedAgentFile {
  const file = parseAgentFile(text, { origin: url.href })
  return { key: queryEscape(url.href), file, version: versionOf(text, file), baseDir: undefined }
}

function withoutQuery(key: string): string | undefined {
  const url = URL.parse(key) ?? URL.parse(unescaped(key))
  return url === null ? undefined : `${url.origin}${url.pathname}`
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '))
  } catch {
    return key
  }
}
