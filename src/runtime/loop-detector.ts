import type { ToolCall } from '../protocol/protocol.ts'

/** Tells whether a batch of tool calls is the `limit`-th in a row that asks for the same. An empty one is overlooked. */
export function createLoopDetector(limit: number): (batch: readonly ToolCall[]) => boolean {
  let last: string | undefined
  let times = 0
  return (batch) => {
    if (batch.length === 0) return false
    const now = JSON.stringify(batch.map((call) => [call.function.name, normalised(call.function.arguments ?? '')]))
    times = now === last ? times + 1 : 1
    last = now
    return times >= limit
  }
}

/** The order of keys and white space make no other call. */
function normalised(args: string): unknown {
  try {
    return sorted(JSON.parse(args))
  } catch {
    return args
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object') return value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, entry]) => [key, sorted(entry)])
}
