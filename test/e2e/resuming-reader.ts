import { z } from 'zod'
import { type CuttingProxy, cuttingProxy } from './cutting-proxy.ts'

/** One event as it came: its lines, its id, and what its data says. */
export interface Frame {
  readonly text: string
  readonly id: string | undefined
  readonly event: { readonly type: string; readonly [key: string]: unknown }
}

/** Everything that a reader has seen, over all its connections. */
export interface Reading {
  readonly frames: readonly Frame[]
  /** The frames as one text: what two readers of one stream must have in common. */
  readonly text: string
  /** Connections that were cut. */
  readonly cut: number
}

/** Opens a connection; the id is the last one that was seen. */
type Connect = (lastEventId: string | undefined) => Promise<Response>

const ReadEvent = z.looseObject({ type: z.string() })

/** Reads a session's events up to the end of its first run. Connections are cut after so many bytes. */
export async function readEvents(url: string, id: string, cuts: readonly number[] = []): Promise<Reading> {
  await using proxy = cuts.length === 0 ? direct(url) : await cuttingProxy(url, cuts)
  const frames = await readResuming((lastEventId) => openEvents(proxy.url, id, lastEventId))
  return { frames, text: textOf(frames), cut: proxy.cut }
}

/** Runs an agent, reads the stream of the run, and what is cut off of it from the session's events. */
export async function readRun(
  url: string,
  id: string,
  { agent, text, cuts }: { readonly agent: string; readonly text: string; readonly cuts: readonly number[] },
): Promise<Reading> {
  await using proxy = cuts.length === 0 ? direct(url) : await cuttingProxy(url, cuts)
  let isStarted = false
  const frames = await readResuming((lastEventId) => {
    if (isStarted) return openEvents(proxy.url, id, lastEventId)
    isStarted = true
    return fetch(`${proxy.url}/api/sessions/${id}/agent/${agent}?on_disconnect=continue`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ messages: [{ role: 'user', content: text }] }),
    })
  })
  return { frames, text: textOf(frames), cut: proxy.cut }
}

/** What the events of one type say, joined. */
export function said(frames: readonly Frame[], type = 'agent_choice'): string {
  return frames.flatMap(({ event }) => (event.type === type ? [String(event.content)] : [])).join('')
}

export function idsOf(frames: readonly Frame[]): readonly (string | undefined)[] {
  return frames.map(({ id }) => id)
}

/** `1`, `2` and so on. */
export function idsUpTo(last: number): readonly string[] {
  return Array.from({ length: last }, (_, index) => String(index + 1))
}

function direct(url: string): CuttingProxy {
  return { url, cut: 0, [Symbol.asyncDispose]: async () => {} }
}

function openEvents(url: string, id: string, lastEventId: string | undefined): Promise<Response> {
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
  return fetch(`${url}/api/sessions/${id}/events`, { headers })
}

/**
 * Reads until a run has ended, and comes back with the id it saw last whenever its connection ends before that. What was
 * cut inside a frame counts as not seen, as the standard says.
 */
async function readResuming(connect: Connect): Promise<readonly Frame[]> {
  const frames: Frame[] = []
  for (let connections = 1; connections <= 100; connections++) {
    for await (const frame of untilCut(connect(frames.at(-1)?.id))) {
      frames.push(frame)
      if (frame.event.type === 'stream_stopped') return frames
    }
  }
  throw new Error(`a hundred connections were not enough: ${textOf(frames.slice(-2))}`)
}

async function* untilCut(connecting: Promise<Response>): AsyncGenerator<Frame, void, void> {
  try {
    const response = await connecting
    if (!response.ok) throw new Error(`the stream was refused: ${response.status} ${await response.text()}`)
    const decoder = new TextDecoder()
    let rest = ''
    for await (const chunk of response.body ?? []) {
      rest += decoder.decode(chunk, { stream: true })
      const blocks = rest.split('\n\n')
      rest = blocks.pop() ?? ''
      yield* blocks.flatMap(parse)
    }
  } catch (error) {
    if (!isCut(error)) throw error
  }
}

/** How fetch tells that its connection broke. */
function isCut(error: unknown): boolean {
  const cause = error instanceof TypeError ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && ['UND_ERR_SOCKET', 'ECONNRESET'].includes(String(cause.code))
}

/** Comments and `retry` are no frames. */
function parse(text: string): readonly Frame[] {
  const data = /^data: (.*)$/m.exec(text)?.[1]
  if (data === undefined) return []
  return [{ text, id: /^id: (.*)$/m.exec(text)?.[1], event: ReadEvent.parse(JSON.parse(data)) }]
}

function textOf(frames: readonly Frame[]): string {
  return frames.map(({ text }) => `${text}\n\n`).join('')
}
