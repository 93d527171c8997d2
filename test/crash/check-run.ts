import { expect } from 'vitest'
import type { Recovery, Run } from '../../src/protocol/protocol.ts'
import { type Event, isCut, type Log, utterancesIn } from './log.ts'

/** How often a run is begun at most, after crashes. */
const attempts = 3

/** What may have become of a run. */
interface Circumstances {
  /** What its servers were told. */
  readonly recovery: Recovery
  /** Whether anybody asked for a stop. */
  readonly stopAsked: boolean
}

/** Checks that a run has one beginning and one end, which it may have, and that everything that its agent said is a message. */
export function checkRun(run: Run, log: Log, circumstances: Circumstances): void {
  const { run_id, status, reason, first_seq, last_seq } = run
  const events = log.eventsOf(run_id)
  expect(count(events, 'stream_started'), `beginnings of run ${run_id}`).toBe(1)
  expect(count(events, 'stream_stopped'), `ends of run ${run_id}`).toBe(1)
  const [first, last] = [events.at(0), events.at(-1)]
  expect([first?.seq, last?.seq, last?.type], `run ${run_id}`).toEqual([first_seq, last_seq, 'stream_stopped'])
  expect(status, `status of run ${run_id}`).not.toBe('running')
  expect(last?.reason, `reason of run ${run_id}`).toBe(reason)
  checkReason(run, events, circumstances)
  checkRecoveries(run, events, circumstances.recovery)
  checkSaid(run, events)
}

/** A run ends for a reason that it has. */
function checkReason(run: Run, events: readonly Event[], { recovery, stopAsked }: Circumstances): void {
  const { run_id, reason, trigger, agent, error, attempt = 1 } = run
  const told = `run ${run_id}, which ended: ${JSON.stringify(run)}`
  if (reason === 'interrupted') {
    expect(events.at(-2), told).toMatchObject({ type: 'error', code: 'interrupted' })
    if (recovery === 'resume') expect(trigger, told).toBe('stream')
  } else if (reason === 'canceled') {
    expect(stopAsked || trigger === 'stream', told).toBe(true)
  } else if (reason === 'error' && error?.code === 'attempts_exhausted') {
    expect([attempt, recovery], told).toEqual([attempts, 'resume'])
  } else {
    expect([agent, reason], told).toEqual([agent, agent === 'faulty' ? 'error' : 'normal'])
  }
}

/** It only waited for a person. */
function waits(events: readonly Event[]): boolean {
  return count(events, 'request_opened') > count(events, 'request_settled')
}

/**
 * A run that went on says so each time, counts what was not in order, and leaves what was cut behind. One of those on their last
 * attempt may be to blame, and the others are not.
 */
function checkRecoveries({ run_id, attempt = 1 }: Run, events: readonly Event[], recovery: Recovery): void {
  let counted = 1
  events.forEach((event, place) => {
    const before = events[place - 1]
    if (before !== undefined && isCut(before))
      expect(['run_recovered', 'error', 'stream_stopped'], `what follows a cut in run ${run_id}`).toContain(event.type)
    if (event.type !== 'run_recovered') return
    const mayBeSpared = counted === attempts || waits(events.slice(0, place))
    if (event.cause === 'crash' && !(mayBeSpared && event.attempt === counted)) counted += 1
    const cut = before !== undefined && isCut(before) ? before : undefined
    const told = `recovery of run ${run_id} at ${event.seq}`
    expect([event.attempt, event.message_id], told).toEqual([counted, cut?.message_id])
    const { from_seq = 0, to_seq = 0 } = event
    const pieces = events.filter(({ seq, type }) => isPiece(type) && from_seq <= seq && seq <= to_seq)
    expect(pieces.length > 0, `${told}: pieces from ${from_seq} to ${to_seq}`).toBe(cut !== undefined)
    expect(to_seq, told).toBeLessThan(event.seq)
  })
  expect(attempt, `attempts of run ${run_id}`).toBe(counted)
  if (recovery === 'interrupt') expect(count(events, 'run_recovered'), `recoveries of run ${run_id}`).toBe(0)
}

/** Only the answer that a run ended in, or that a crash has cut, is less than whole. */
function checkSaid({ run_id }: Run, events: readonly Event[]): void {
  for (const { text, reasoning, message } of utterancesIn(events)) {
    expect([message?.content, message?.reasoning_content], `an answer of run ${run_id}`).toEqual([text, reasoning])
  }
}

function isPiece(type: string): boolean {
  return type === 'agent_choice' || type === 'agent_choice_reasoning'
}

function count(events: readonly Event[], wanted: string): number {
  return events.filter(({ type }) => type === wanted).length
}
