import { expect, it } from 'vitest'
import type { ForeignEvent } from '../../src/protocol/protocol.ts'
import { EndsBelow } from '../../src/session-manager/runs/ends-below.ts'

const event = (type: string, run_id = 'r', more: Partial<ForeignEvent> = {}): ForeignEvent => ({
  type,
  session_id: 'below',
  run_id,
  root_run_id: 'top',
  agent_name: 'worker',
  timestamp: '2026-01-01T00:00:00.000Z',
  ...more,
})

it('tells each end once, and none whose beginning was not told (M4)', () => {
  const ends = new EndsBelow([event('stream_stopped', 'left')])
  expect(ends.told(event('stream_stopped'))).toBeUndefined()
  expect(ends.told(event('stream_started'))).toEqual(event('stream_started'))
  expect(ends.told(event('agent_choice'))).toEqual(event('agent_choice'))
  expect(ends.told(event('stream_stopped'))).toEqual(event('stream_stopped'))
  expect(ends.told(event('stream_stopped'))).toBeUndefined()
  expect(ends.take(() => true)).toEqual([event('stream_stopped', 'left')])
  expect(ends.told(event('stream_stopped', 'left'))).toBeUndefined()
})

it('lets a run that goes on begin where a crash has kept its beginning from the log above (M4)', () => {
  const ends = new EndsBelow([event('stream_stopped', 'left')])
  const goesOn = (run_id: string) => event('run_recovered', run_id, { attempt: 2, cause: 'crash' })
  expect(ends.told(goesOn('left'))).toEqual(goesOn('left'))
  expect(ends.told(goesOn('unknown'))).toEqual(event('stream_started', 'unknown'))
  expect(ends.told(goesOn('unknown'))).toEqual(goesOn('unknown'))
  expect(ends.told(event('stream_stopped', 'unknown'))).toEqual(event('stream_stopped', 'unknown'))
})
