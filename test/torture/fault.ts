import { setTimeout as delay } from 'node:timers/promises'
import { type Kill, killAt } from '../crash/kill.ts'
import type { Random } from '../crash/random.ts'
import { writtenBy } from '../crash/written.ts'

/** At most what a server writes before the next thing goes wrong: while it starts, or under load. */
const bytes = { start: 150_000, load: 1_200_000 } as const

/** The longest that a server is frozen. */
const longestFreezeMs = 300

/** What is done to one process of the server, in this order. Everything is due at a byte that it writes. */
export interface Fault {
  /** It ends while it starts, and before anything is checked. */
  readonly atStart: boolean
  /** All connections break at once. */
  readonly cut: boolean
  /** It is frozen for so many milliseconds; then it goes on, or ends without having moved again. */
  readonly freeze: { readonly ms: number; readonly thenEnds: boolean } | undefined
  readonly end: 'SIGKILL' | 'SIGTERM'
}

export function chooseFault(random: Random): Fault {
  const end = random.chance(0.7) ? 'SIGKILL' : 'SIGTERM'
  const freezes = random.chance(0.25)
  const freeze = freezes ? { ms: random.between(1, longestFreezeMs), thenEnds: random.chance(0.4) } : undefined
  return { atStart: end === 'SIGKILL' && random.chance(0.15), cut: random.chance(0.25), freeze, end }
}

interface Victim {
  readonly pid: number
  kill(signal: NodeJS.Signals): void
}

/** Does it, and notes what it does. Resolves when the last signal is sent. */
export async function inflict(
  fault: Fault,
  victim: Victim,
  random: Random,
  { cutAll, note }: { cutAll(): void; note(text: string): void },
): Promise<void> {
  const { atStart, cut, freeze, end } = fault
  const most = atStart ? bytes.start : bytes.load
  const strike = async (signal: Kill['signal'], share: number): Promise<void> => {
    const due = (atStart ? 0 : (writtenBy(victim.pid) ?? 0)) + random.between(1, Math.ceil(most * share))
    const written = await killAt(victim.pid, { signal, bytes: due, inTransaction: random.chance(0.5) })
    note(`${signal} is due at byte ${due} and came at ${written}`)
  }
  if (freeze !== undefined) {
    await strike('SIGSTOP', 0.5)
    if (cut) cutAll()
    await delay(freeze.ms)
    if (freeze.thenEnds) victim.kill(end)
    victim.kill('SIGCONT')
    note(`after ${freeze.ms} ms ${freeze.thenEnds ? end : 'SIGCONT'}`)
    if (freeze.thenEnds) return
  } else if (cut) {
    await strike('SIGCONT', 0.5)
    cutAll()
  }
  await strike(end, 0.7)
}
