import type { ElicitationAnswer, ToolCallResult } from '../../src/protocol/protocol.ts'
import type { CallContext, Toolset } from '../../src/tools/tools.ts'

export interface TestCall {
  readonly result: Promise<ToolCallResult>
  /** What was told so far. */
  readonly told: string
  /** Resolves when what was told matches. */
  hears(pattern: RegExp): Promise<RegExpExecArray>
  stop(reason: Error): void
}

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly headers?: Readonly<Record<string, string>>
  elicit?(question: Parameters<CallContext['elicit']>[0]): Promise<ElicitationAnswer>
}

/** Calls a tool as a run would. */
export function call(toolset: Toolset, name: string, args: unknown, options: CallOptions = {}): TestCall {
  const stop = new AbortController()
  const changes = new EventTarget()
  let told = ''
  const result = toolset.call(name, args, {
    callId: 'call',
    signal: options.signal ?? stop.signal,
    headers: options.headers ?? {},
    output: (chunk) => {
      told += chunk
      changes.dispatchEvent(new Event('told'))
    },
    elicit: options.elicit ?? (() => new Promise(() => {})),
  })
  // Who waits for output first must not make a rejection look unhandled.
  result.catch(() => {})
  return {
    result,
    get told() {
      return told
    },
    hears: (pattern) => {
      return new Promise((resolve) => {
        const look = () => {
          const found = pattern.exec(told)
          if (found !== null) resolve(found)
        }
        changes.addEventListener('told', look)
        look()
      })
    },
    stop: (reason) => stop.abort(reason),
  }
}
