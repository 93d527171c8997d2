import fc from 'fast-check'
import type { FamilyStep } from './family-world.ts'

const steps: readonly FamilyStep[] = [
  'say',
  'answer',
  'answer',
  'ask',
  'end',
  'fail',
  'delegate',
  'delegate',
  'delegate',
  'delegate',
  'background',
  'recalled',
  'recalled',
  'again',
]
const which = fc.nat(9)

/** What people and agents do. */
export const calm = [
  { weight: 14, arbitrary: fc.record({ do: fc.constant('run'), which: fc.constantFrom(0, 0, 0, 1, 2) }) },
  { weight: 40, arbitrary: fc.record({ do: fc.constant('step'), step: fc.constantFrom(...steps), which }) },
  { weight: 25, arbitrary: fc.record({ do: fc.constant('breathe'), ticks: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('steer', 'followup', 'verdict', 'toggle', 'look'), which }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('cancel'), which }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('hold', 'release', 'release', 'release', 'batch', 'batch') }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete'), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('restart') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('press', 'relieve') }) },
] as const

/** And what ends the process or keeps it from storing anything. */
export const rough = [
  ...calm,
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('fill', 'free', 'free') }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('crash') }) },
] as const

/** And what befalls single commits. */
export const stormy = [
  ...rough,
  { weight: 3, arbitrary: fc.record({ do: fc.constant('fault'), fault: fc.constantFrom('refused', 'unknown') }) },
] as const
