import type { Circumstances, Fail } from './circumstances.ts'
import type { Look } from './look.ts'
import type { SessionDiary } from './session-diary.ts'

/** What was accepted is in the conversation once, or in its queue; what was refused is in neither. */
export function checkInputs(session: SessionDiary, seen: Look, { behaviour, isLast }: Circumstances, fail: Fail): void {
  const { replay, queue, runs } = seen
  for (const { text, kind, outcome, answer } of session.inputs) {
    const deliveries = replay.deliveries(text)
    const most = outcome === 'refused' ? 0 : 1
    const least = outcome === 'accepted' && (kind === 'run' || isLast) ? 1 : 0
    if (deliveries > most || deliveries < least)
      fail(`"${text}", answered ${answer}, was delivered ${deliveries} times`)
  }
  for (const kind of ['steer', 'followup'] as const) {
    const depth = queue?.[kind].depth ?? 0
    const missing = session.inputs.filter((input) => input.kind === kind && replay.deliveries(input.text) === 0)
    const least = missing.filter(({ outcome }) => outcome === 'accepted').length
    const most = missing.filter(({ outcome }) => outcome !== 'refused').length
    if (depth < least || depth > most) {
      fail(
        `${depth} wait as ${kind}, but ${least} to ${most} were accepted and not delivered: ${missing.map(({ text }) => text)}`,
      )
    }
  }
  const depth = queue?.followup.depth ?? 0
  if (behaviour.delivers && depth > 0 && runs.at(-1)?.reason === 'normal') fail(`${depth} follow-ups wait for nothing`)
}
