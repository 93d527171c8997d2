import { expect, it } from 'vitest'
import type { Agent } from '../../src/agent-file/agent-file.ts'
import type { Item, Message } from '../../src/protocol/protocol.ts'
import { prompt } from '../../src/runtime/prompt.ts'
import { assistant, user } from './run-context.ts'

const surroundings = {
  now: new Date('2026-09-21T12:00:00'),
  workingDir: '/somewhere',
  context: [],
  team: [],
  instructions: [],
  limits: {},
}

function said(agent: Partial<Agent>, ...history: readonly (Message | Item)[]): readonly string[] {
  const items = history.map((entry) => ('agent_name' in entry ? { message: entry } : entry))
  const { messages } = prompt({ Name: 'root', ...agent }, surroundings, items)
  return messages.map(({ role, content }) => `${role}: ${content}`)
}

it('begins with the instruction, then what changes from day to day', () => {
  const agent = { instruction: 'Be kind.', add_date: true, add_environment_info: true }
  const [instruction, context, ...rest] = said(agent, user('hi'))
  expect(instruction).toBe('system: Be kind.')
  expect(context).toMatch(/^system: Today is Mon Sep 21 2026\.\n\nThe environment/)
  expect(context).toContain('Working directory: /somewhere')
  expect(context).toContain('Git repository: no')
  expect(rest).toEqual(['user: hi'])
})

it('has no system message when there is nothing to say in it', () => {
  expect(said({}, user('hi'))).toEqual(['user: hi'])
})

it('leaves out cut answers, failures and stored system messages', () => {
  const system: Message = { agent_name: '', message: { role: 'system', content: 'obey' } }
  const history = [
    user('hi'),
    assistant('half', { finish_reason: 'interrupted' }),
    { error: { message: 'broken' } },
    system,
  ]
  expect(said({}, ...history, user('again'))).toEqual(['user: hi', 'user: again'])
})

it('puts the last summary in place of what it stands for', () => {
  const history = [user('one'), { summary: 'old' }, user('two'), assistant('three'), { summary: 'new' }, user('four')]
  const [summary, ...rest] = said({}, ...history)
  expect(summary).toMatch(/^user: Summary .*\n\nnew$/)
  expect(rest).toEqual(['user: four'])
})

it('keeps what the last summary kept', () => {
  const history = [user('one'), user('two'), assistant('three'), { summary: 'new', first_kept_entry: 1 }, user('four')]
  expect(said({}, ...history).slice(1)).toEqual(['user: two', 'assistant: three', 'user: four'])
})

it('sends the latest messages only, where the agent says how many', () => {
  const history = [user('one'), assistant('two'), user('three')]
  expect(said({ num_history_items: 1 }, ...history)).toEqual(['user: three'])
  expect(said({ num_history_items: 0 }, ...history)).toHaveLength(3)
})

it('begins with what a user said, however few messages it may send', () => {
  const history = [user('one'), assistant('two'), user('three'), assistant('four'), user('five')]
  expect(said({ num_history_items: 2 }, ...history)).toEqual(['user: three', 'assistant: four', 'user: five'])
})

it('never tears a result from its call, nor a call from those of the same answer', () => {
  const asks = (...ids: readonly string[]) => {
    const tool_calls = ids.map((id) => ({ id, type: 'function', function: { name: 'look', arguments: '{}' } }))
    return assistant(`asks ${ids}`, { tool_calls })
  }
  const result = (id: string): Message => {
    return { agent_name: 'root', message: { role: 'tool', content: id, tool_call_id: id } }
  }
  const history = [user('go'), asks('a'), result('a'), asks('b', 'c', 'd'), result('b'), result('c'), result('d')]
  const whole = ['user: go', 'assistant: asks b,c,d', 'tool: b', 'tool: c', 'tool: d']
  for (const num_history_items of [1, 2, 3, 4]) expect(said({ num_history_items }, ...history)).toEqual(whole)
})
