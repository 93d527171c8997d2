import type { QueuedInput } from '../../src/protocol/protocol.ts'
import type { Circumstances, Fail } from './circumstances.ts'
import type { Input } from './input.ts'
import type { Look } from './look.ts'
import type { SessionDiary } from './session-diary.ts'

/** What was accepted is in the conversation once, or in its queue; what was refused is in neither. */
export function checkInputs(session: SessionDiary, seen: Look, { isLast }: Circumstances, fail: Fail): void {
  for (const input of session.inputs) {
    const listed = seen.inputs.filter(({ message }) => input.texts.includes(message.content))
    const delivered = input.texts.filter((text) => seen.replay.deliveries(text) > 0)
    const problem = problemOf(input, listed, delivered) ?? (isLast ? leftOver(input, listed, delivered) : undefined)
    if (problem !== undefined)
      fail(
        `"${input.texts}", answered ${input.answer}, ${problem}: delivered ${delivered}, listed ${JSON.stringify(listed)}`,
      )
    for (const text of delivered) {
      const times = seen.replay.deliveries(text)
      if (times > 1) fail(`"${text}" was delivered ${times} times`)
    }
  }
  const said = new Set(session.inputs.flatMap(({ texts }) => texts))
  for (const { id, message } of seen.inputs)
    if (!said.has(message.content)) fail(`input ${id} says "${message.content}", which nobody has said`)
  for (const kind of ['steer', 'followup'] as const) {
    const depth = seen.queue?.[kind].depth ?? 0
    const waiting = seen.inputs.filter((one) => one.kind === kind && waits(one)).length
    if (depth !== waiting) fail(`${depth} are said to wait as ${kind}, and ${waiting} are listed so`)
  }
}

/** What cannot be, if anything: `listed` is what is told of it, `delivered` are those of its texts that somebody was told to have said. */
function problemOf(input: Input, listed: readonly QueuedInput[], delivered: readonly string[]): string | undefined {
  const { outcome, place, text, taken } = input
  const [one] = listed
  const count = listed.length
  if (outcome === 'refused' && count + delivered.length > 0) return 'was carried out'
  if (count > 1 || delivered.length > 1) return 'is there more than once'
  if (delivered.some((said) => !text.values.includes(said))) return 'was delivered with another text'
  if (one === undefined) {
    if (outcome === 'accepted' && place === 'queue') return 'is not listed'
    return outcome === 'accepted' && delivered.length === 0 ? 'is lost' : undefined
  }
  if (place === 'run') return 'is listed'
  if (!text.values.includes(one.message.content)) return 'has another text'
  if (one.state === 'failed') return 'failed'
  if ((one.state === 'delivered') !== (delivered.length === 1)) return 'is listed otherwise than it was delivered'
  if (one.state === 'cancelled' && taken === 'no') return 'was taken back by nobody'
  if (one.state !== 'cancelled' && taken === 'told') return 'was taken back'
  if (waits(one) && !input.held.values.includes(one.held_by === 'client')) return 'is held otherwise than it was told'
  return undefined
}

/** Nobody has anything left to do, so nothing waits. */
function leftOver({ outcome }: Input, [one]: readonly QueuedInput[], delivered: readonly string[]): string | undefined {
  if (one !== undefined && waits(one)) return 'waits for nothing'
  return outcome === 'accepted' && one?.state !== 'cancelled' && delivered.length === 0 ? 'is lost' : undefined
}

function waits({ state }: QueuedInput): boolean {
  return state === 'queued' || state === 'held'
}
