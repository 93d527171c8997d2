import { describe, expect, it } from 'vitest'
import type { ElicitationAnswer, ElicitationContent } from '../../src/protocol/protocol.ts'
import { objectionsTo } from '../../src/session-manager/requests/elicitation-check.ts'

const schema = {
  type: 'object',
  properties: {
    email: { type: 'string', format: 'email' },
    age: { type: 'integer', minimum: 18 },
    colour: { type: 'string', enum: ['red', 'blue'], enumNames: ['Red', 'Blue'] },
    size: {
      type: 'string',
      oneOf: [
        { const: 's', title: 'Small' },
        { const: 'l', title: 'Large' },
      ],
    },
    tags: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
    when: { type: 'string', format: 'date-time' },
    plan: { type: 'string', default: 'free' },
  },
  required: ['email', 'plan'],
}

const check = (
  content: unknown,
  more: Partial<ElicitationContent> = {},
  action: ElicitationAnswer['action'] = 'accept',
) =>
  objectionsTo(
    { kind: 'elicitation', message: 'who?', mode: 'form', schema, ...more },
    // What a client sends, which may be anything.
    { action, content: content as ElicitationAnswer['content'] },
  )
const paths = (...args: Parameters<typeof check>) => check(...args).map(({ path }) => path)

describe('the check of an elicitation', () => {
  it('takes what the schema asks for, and what it says nothing about', () => {
    const whole = { email: 'a@b.cd', age: 20, colour: 'red', size: 'l', tags: ['a'], when: '2026-01-01T00:00:00+02:00' }
    expect(check({ ...whole, other: 1 })).toEqual([])
    expect(check({ email: 'a@b.cd' })).toEqual([])
  })

  it.each([
    ['what is missing', {}, ['body.content.email']],
    ['no content at all', null, ['body.content.email']],
    ['another type', { email: 'a@b.cd', age: '20' }, ['body.content.age']],
    ['what is too small', { email: 'a@b.cd', age: 7 }, ['body.content.age']],
    [
      'what is no choice',
      { email: 'a@b.cd', colour: 'green', size: 'm' },
      ['body.content.colour', 'body.content.size'],
    ],
    ['an entry of a list', { email: 'a@b.cd', tags: ['a', 'c'] }, ['body.content.tags[1]']],
    ['a format', { email: 'nobody', when: 'soon' }, ['body.content.email', 'body.content.when']],
  ])('objects to %s, and says where', (_, content, found) => {
    expect(paths(content)).toEqual(found)
  })

  it('takes a schema with properties as one of an object', () => {
    const { type: _, ...untyped } = schema
    expect(paths({}, { schema: untyped })).toEqual(['body.content.email'])
  })

  it.each(['decline', 'cancel'] as const)('asks nothing of who says %s', (action) => {
    expect(check({}, {}, action)).toEqual([])
  })

  it.each([
    ['there is none', undefined],
    ['it is no schema', 'object'],
    ['it is of a single value', { type: 'string' }],
    ['its types do not exist', { type: 'object', properties: { a: { type: 'banana' } }, required: ['a'] }],
    ['its pattern is broken', { type: 'object', properties: { a: { type: 'string', pattern: '(' } }, required: ['a'] }],
    ['it refers to elsewhere', { type: 'object', properties: { a: { $ref: 'https://a.test/b' } }, required: ['a'] }],
    ['it refers to nothing', { type: 'object', properties: { a: { $ref: '#/$defs/a' } }, required: ['a'] }],
    ['it has a condition', { type: 'object', not: { required: ['b'] }, required: ['a'] }],
  ])('objects to nothing where nothing can be said about the schema: %s', (_, odd) => {
    expect(check({}, { schema: odd })).toEqual([])
  })

  it('objects to nothing that takes for ever to be found', () => {
    const endless = { type: 'object', properties: { name: { type: 'string', pattern: '^(a+)+$' } } }
    expect(check({ name: `${'a'.repeat(50)}!` }, { schema: endless })).toEqual([])
    expect(paths({ name: 'b' }, { schema: endless })).toEqual(['body.content.name'])
  })

  it('objects to nothing at a URL', () => {
    expect(check({}, { mode: 'url' })).toEqual([])
  })
})
