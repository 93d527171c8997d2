import { describe, expect, it } from 'vitest'
import type { RuntimeEvent } from '../../src/runtime/runtime.ts'
import { RunActivity } from '../../src/session-manager/runs/run-activity.ts'
import { added, choice } from './test-agents.ts'

const agent_name = 'root'
const tool_definition = { name: 'shell', category: '', parameters: {}, annotations: {}, outputSchema: {} }
const call = (id: string) => ({ id, type: 'function', function: { name: `tool ${id}`, arguments: '{}' } })
const info: RuntimeEvent = { type: 'agent_info', agent_name, model: 'test/m', description: '' }
const asked = added('', { tool_calls: [call('a'), call('b')] })
const called = (id: string): RuntimeEvent => ({ type: 'tool_call', agent_name, tool_call: call(id), tool_definition })
const output = (id: string): RuntimeEvent => ({
  type: 'tool_call_output',
  agent_name,
  tool_call_id: id,
  tool_definition,
  output: 'x',
})
const response = (id: string): RuntimeEvent => ({
  type: 'tool_call_response',
  agent_name,
  tool_call_id: id,
  tool_definition,
  response: 'x',
})
const result = (tool_call_id: string) => added('x', { role: 'tool', tool_call_id })
const usage: RuntimeEvent = {
  type: 'token_usage',
  agent_name,
  usage: { input_tokens: 1, output_tokens: 1, context_length: 2, context_limit: 0, cost: 0 },
}
const hook = (type: 'hook_started'): RuntimeEvent => ({ type, agent_name, hook_event: 'stop' })
const hookEnd: RuntimeEvent = {
  type: 'hook_finished',
  agent_name,
  hook_event: 'stop',
  duration_ms: 1,
  allowed: true,
}
const compaction = (status: 'started' | 'completed'): RuntimeEvent => ({
  type: 'session_compaction',
  agent_name,
  status,
})

const cases: readonly (readonly [string, readonly RuntimeEvent[], readonly string[]])[] = [
  ['nothing yet', [], ['starting']],
  ['its tools start', [{ type: 'mcp_init_started', agent_name }], ['starting']],
  ['its tools are there', [{ type: 'mcp_init_finished', agent_name }], ['step']],
  ['a model is asked', [info], ['model test/m']],
  ['a model writes', [info, choice('x')], ['model test/m, heard']],
  ['a model writes that nobody announced', [choice('x')], ['model, heard']],
  ['a model has answered', [info, choice('x'), added('x')], ['step']],
  ['a model has answered nothing', [info, usage], ['step']],
  ['a model wants tools', [info, asked], ['tool tool a', 'tool tool b']],
  ['tools are at work', [info, asked, called('a'), output('b')], ['tool tool a', 'tool tool b, heard']],
  ['one tool has ended', [info, asked, usage, called('a'), response('a')], ['tool tool b']],
  ['all tools have ended', [info, asked, response('a'), response('b')], ['step']],
  ['all results are there', [info, asked, result('a'), result('b')], ['step']],
  ['a call was never heard of again', [info, asked, info], ['model test/m']],
  ['the history is compacted', [compaction('started')], ['model compaction']],
  ['the history was compacted', [compaction('started'), compaction('completed')], ['step']],
  ['a hook is at work', [added('x'), hook('hook_started')], ['hook stop']],
  ['a hook has ended', [added('x'), hook('hook_started'), hookEnd], ['step']],
  ['a hook ends that never began', [added('x'), hookEnd], ['step']],
  ['another agent takes over', [added('x'), { type: 'mcp_init_started', agent_name }], ['starting']],
]

describe('the activity of a run', () => {
  it.each(cases)('is told when %s', (_, events, expected) => {
    const activity = new RunActivity()
    for (const event of events) activity.take(event)
    const told = activity.doing.map(({ kind, name, heard }) => {
      const words = name === undefined ? kind : `${kind} ${name}`
      return heard === undefined ? words : `${words}, heard`
    })
    expect(told).toEqual(expected)
    expect(activity.isWaiting).toBe(expected.some((one) => !/^(starting|step)/.test(one)))
  })

  it('keeps the first word about why the run leaves', () => {
    const activity = new RunActivity()
    expect(activity.leaving).toBeUndefined()
    activity.leave(true)
    activity.leave(false)
    expect(activity.leaving?.isStuck).toBe(true)
  })
})
