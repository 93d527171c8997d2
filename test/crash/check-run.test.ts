import { describe, expect, test } from 'vitest'
import type { Run } from '../../src/protocol/protocol.ts'
import { checkRun } from './check-run.ts'
import { Log } from './log.ts'

const start = { type: 'stream_started' }
const cut = added('Ah', 'interrupted')
const whole = added('Ahoy', 'stop')
const recovered = { type: 'run_recovered', attempt: 2, cause: 'crash', from_seq: 2, to_seq: 3, message_id: 'm' }
const stop = { type: 'stream_stopped', reason: 'normal' }
const interrupted = { type: 'stream_stopped', reason: 'interrupted' }
const cutShort = { type: 'error', code: 'interrupted' }

function said(content: string): object {
  return { type: 'agent_choice', content }
}

function added(content: string, finish_reason: string): object {
  return { type: 'message_added', message_id: 'm', message: { message: { role: 'assistant', content, finish_reason } } }
}

/** Checks a run that detached clients have begun, with a log of these events. */
function check(events: readonly object[], more: Partial<Run> = {}, recovery: 'resume' | 'interrupt' = 'resume'): void {
  const frames = events.map((event, index) => {
    const data = JSON.stringify({ ...event, run_id: 'r' })
    return { seq: index + 1, bytes: `id: ${index + 1}\ndata: ${data}\n\n` }
  })
  const run: Run = {
    run_id: 'r',
    session_id: 's',
    agent: 'brisk',
    agent_name: 'root',
    trigger: 'detached',
    status: 'completed',
    reason: 'normal',
    first_seq: 1,
    last_seq: events.length,
    started_at: '',
    usage: { input_tokens: 0, output_tokens: 0, cached_input_tokens: 0, cached_write_tokens: 0 },
    cost: 0,
    ...more,
  }
  checkRun(run, new Log(frames), { recovery, stopAsked: false })
}

const goesOn = [start, said('A'), said('h'), cut, recovered, said('Ahoy'), whole, stop]
const ended = [start, said('Ah'), cut, cutShort, interrupted]
const wasEnded = { status: 'interrupted', reason: 'interrupted' } as const

describe('the check of a run', () => {
  test('accepts one that has gone on, and one that has ended with its server', () => {
    check(goesOn, { attempt: 2 })
    check(ended, { ...wasEnded, trigger: 'stream' })
    check(ended, wasEnded, 'interrupt')
  })

  test.each([
    { what: 'has no end', events: goesOn.slice(0, -1), run: { attempt: 2 } },
    { what: 'has two ends', events: [...goesOn, stop], run: { attempt: 2 } },
    { what: 'has two beginnings', events: [start, ...goesOn], run: { attempt: 2 } },
    { what: 'still runs', events: goesOn, run: { attempt: 2, status: 'running' } },
    { what: 'was ended though it belongs to nobody', events: ended, run: wasEnded },
    { what: 'counts wrong', events: goesOn, run: { attempt: 1 } },
    { what: 'leaves pieces behind that are no message', events: goesOn.toSpliced(3, 1), run: { attempt: 2 } },
    { what: 'goes on without a word', events: goesOn.toSpliced(4, 1), run: {} },
    { what: 'has lost a piece', events: goesOn.toSpliced(2, 1), run: { attempt: 2 } },
    { what: 'was stopped by nobody', events: [start, { ...stop, reason: 'canceled' }], run: { reason: 'canceled' } },
    { what: 'has failed for nothing', events: [start, { ...stop, reason: 'error' }], run: { reason: 'error' } },
  ] as const)('refuses one that $what', ({ events, run }) => {
    expect(() => check(events, run)).toThrow()
  })

  test('refuses one that has gone on where none may', () => {
    expect(() => check(goesOn, { attempt: 2 }, 'interrupt')).toThrow()
  })
})
