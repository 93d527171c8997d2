import { readToken } from './agents.ts'
import type { Circumstances, Fail } from './circumstances.ts'
import type { Look } from './look.ts'
import type { Call, Replay } from './replay.ts'
import { tokenOf } from './replay.ts'
import type { SessionDiary } from './session-diary.ts'

/** A question is settled once; with the answer that was accepted, if there was one. */
export function checkQuestions(session: SessionDiary, seen: Look, { isLast }: Circumstances, fail: Fail): void {
  const { whole: replay, open } = seen
  const unsettled: string[] = []
  for (const [id, { opened, settled }] of replay.asked) {
    if (settled.length > 1) fail(`request ${id} was settled ${settled.length} times`)
    const [end] = settled
    if (end === undefined) unsettled.push(id)
    const verdicts = session.verdicts.filter(({ requestId }) => requestId === id)
    const accepted = verdicts.find(({ outcome }) => outcome === 'accepted')
    const told = JSON.stringify(end?.answer ?? null)
    if (accepted !== undefined && !told.includes(`"${accepted.tag}"`)) {
      fail(`request ${id} was answered ${accepted.tag}, and is ${JSON.stringify(end)}`)
    }
    if (
      end?.state === 'answered' &&
      !verdicts.some(({ tag, outcome }) => outcome !== 'refused' && told.includes(`"${tag}"`))
    ) {
      fail(`request ${id} is ${JSON.stringify(end)}, which nobody has said`)
    }
    const isOver = replay.count(opened.run_id, 'stream_stopped') > 0
    if (isOver && end === undefined) fail(`request ${id} outlives its run`)
  }
  const shown = open.map(({ id }) => id)
  const untold = shown.filter((id) => !unsettled.includes(id))
  const gone = unsettled.filter((id) => !shown.includes(id))
  if (untold.length > 0) fail(`${untold} are open, and the log does not tell so`)
  if (gone.length > 0) fail(`${gone} are not open, and the log tells no end of them`)
  if (isLast && shown.length > 0) fail(`${shown} are still open`)
}

/** Each call has one result, and took effect as often as that, its verdict and its rule say. */
export function checkCalls(session: SessionDiary, seen: Look, { effects }: Circumstances, fail: Fail): void {
  const { whole: replay, runs } = seen
  const verdicts = verdictsByToken(replay)
  for (const call of replay.calls) {
    const { id, runId, token, results } = call
    if (results.length > 1) fail(`call ${id} of run ${runId} has ${results.length} results`)
    const run = runs.find(({ run_id }) => run_id === runId)
    if (run?.status === 'completed' && results.length === 0) fail(`call ${id} of run ${runId} has no result`)
    if (token !== undefined) checkEffect(call, token, effects.get(token) ?? 0, verdicts.get(token), fail)
  }
  const known = new Set(replay.calls.map(({ token }) => token))
  const said = new Set(session.inputs.flatMap(({ texts }) => texts))
  for (const token of effects.keys()) {
    const text = readToken(token)?.text ?? ''
    if (said.has(text) && !known.has(token))
      fail(`call ${token} took effect, but nobody was told that it was asked for`)
  }
}

function checkEffect({ results }: Call, token: string, times: number, verdict: string | undefined, fail: Fail): void {
  const [result] = results
  if (result?.is_error === false && times === 0) fail(`call ${token} has a result, but took no effect`)
  const asks = readToken(token)?.kind.asks ?? false
  if (asks && times > 0 && verdict !== 'approve')
    fail(`call ${token} took effect, although its approval says ${verdict}`)
}

/** What people said to calls that wait for them. */
function verdictsByToken({ asked }: Replay): ReadonlyMap<string, string> {
  const verdicts = new Map<string, string>()
  for (const { opened, settled } of asked.values()) {
    const token = opened.content.kind === 'approval' ? tokenOf(opened.content.tool_call) : undefined
    const answer = settled[0]?.answer
    if (token !== undefined && answer !== undefined && 'confirmation' in answer)
      verdicts.set(token, answer.confirmation)
  }
  return verdicts
}
