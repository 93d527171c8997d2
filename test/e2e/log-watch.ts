import type { ForeignEvent } from '../../src/protocol/protocol.ts'
import type { Client } from '../server/client.ts'

/** A reader of a session's log that goes on until it is left. */
export interface LogWatch extends AsyncDisposable {
  /** What has come so far. */
  readonly events: readonly ForeignEvent[]
  /** Resolves with the n-th event that is looked for, counted from the beginning of the log. */
  until(isIt: (event: ForeignEvent) => boolean, nth?: number): Promise<ForeignEvent>
  /** The same for a type. */
  untilType(type: string, nth?: number): Promise<ForeignEvent>
}

export async function watchLog(client: Client, id: string): Promise<LogWatch> {
  const leave = new AbortController()
  const query = { since: '0' }
  const response = await client.open('getEvents', { params: { id }, query }, leave.signal)
  const events: ForeignEvent[] = []
  const looks = new Set<() => void>()
  const reading = read(response, (event) => {
    events.push(event)
    for (const look of looks) look()
  })
  const until: LogWatch['until'] = (isIt, nth = 1) => {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = events.filter(isIt)[nth - 1]
        if (found === undefined) return
        looks.delete(look)
        resolve(found)
      }
      looks.add(look)
      look()
      reading.then(() => reject(new Error(`the log ended with ${JSON.stringify(events.at(-1))}`)))
    })
  }
  return {
    events,
    until,
    untilType: (type, nth) => until((event) => event.type === type, nth),
    async [Symbol.asyncDispose]() {
      leave.abort()
      await reading
    },
  }
}

/** Resolves when the stream has ended, in whatever way. */
async function read(response: Response, onEvent: (event: ForeignEvent) => void): Promise<void> {
  let rest = ''
  try {
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1]
        if (data !== undefined) onEvent(JSON.parse(data))
      }
    }
  } catch {
    // The watch was left, or the server has gone.
  }
}
