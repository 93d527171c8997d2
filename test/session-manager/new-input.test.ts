import { expect, test } from 'vitest'
import { newInput } from '../../src/session-manager/inputs/new-input.ts'

const entry = (role: string | undefined, content: string) => ({ role, content })

test('takes every entry for a user who sends no history', () => {
  const list = [entry('system', 'a'), entry(undefined, 'b'), entry('', 'c')]
  expect(newInput(list)).toEqual(list)
})

test('takes only what a user said after the last answer of a history', () => {
  const history = [entry('user', 'a'), entry('assistant', 'b'), entry('system', 'c'), entry('tool', 'd')]
  expect(newInput(history)).toEqual([])
  const more = [entry('user', 'e'), entry('', 'f')]
  expect(newInput([...history, ...more])).toEqual(more)
})
