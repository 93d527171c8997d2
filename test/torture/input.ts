import { AcceptedInput, RunStart } from '../../src/protocol/protocol.ts'
import { Register } from './register.ts'
import { type Answer, type Outcome, parsed } from './wire.ts'

/** Where something that was said goes: it begins a run, or waits for one. */
export type Place = 'run' | 'queue'

/** Something that was said to a session. Each of its texts is unlike every other text. */
export class Input {
  /** Every text that it was ever given, or was to be given. */
  readonly texts: string[]
  /** The text that it has. */
  readonly text: Register<string>
  /** Whether a client holds it. */
  readonly held = new Register(false)
  outcome: Outcome = 'unknown'
  /** Where it went when it was accepted; `undefined` as long as nobody has said. */
  place: Place | undefined
  /** Whether somebody has asked to take it back, or was told that it is. */
  taken: 'no' | 'asked' | 'told' = 'no'
  /** What the client was answered. */
  answer = ''

  constructor(text: string, place?: Place) {
    this.texts = [text]
    this.text = new Register(text)
    this.place = place
  }

  /** Takes down what the client was answered. */
  hear({ outcome, status, text }: Answer): void {
    this.outcome = outcome
    this.answer = `${status} ${text}`
    if (outcome !== 'accepted') return
    if (parsed(RunStart, text) !== undefined) this.place = 'run'
    else if (parsed(AcceptedInput, text) !== undefined) this.place = 'queue'
  }
}
