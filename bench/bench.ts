import type { Comparison, Pair } from './comparison.ts'
import { figure } from './table.ts'

/** What a bench is lent. */
export interface Workbench {
  /** What is put here ends with the bench, last one first. */
  readonly stage: AsyncDisposableStack
  /** Says how far it is. */
  tell(sentence: string): void
  /** Where the server under measurement leaves a profile, if one is wanted. */
  readonly profile: string | undefined
}

/** Measures something of ours beside a reference, and says what came of it. */
export interface Bench {
  readonly name: string
  run(workbench: Workbench): Promise<readonly Comparison[]>
}

type Measure = () => Promise<number>

/** Measures both in turn; a first pair warms both up and does not count. */
export async function inPairs(
  { tell }: Pick<Workbench, 'tell'>,
  { count, unit, ours, reference }: { count: number; unit: string; ours: Measure; reference: Measure },
): Promise<readonly Pair[]> {
  const pairs: Pair[] = []
  for (let round = 0; round <= count; round += 1) {
    const pair = { ours: await ours(), reference: await reference() }
    const place = round === 0 ? 'warm-up' : `pair ${round} of ${count}`
    const ratio = figure(pair.ours / pair.reference)
    tell(`${place}: ${figure(pair.ours)} ${unit} beside ${figure(pair.reference)} ${unit}, ${ratio}x`)
    if (round > 0) pairs.push(pair)
  }
  return pairs
}
