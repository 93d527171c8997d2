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

  it.each(['(a+)+$', '^(a|a)*$', '('])('does not match patterns, which may take for ever: %s', (pattern) => {
    const text = { type: 'string', pattern, maxLength: 50 }
    const form = {
      type: 'object',
      properties: {
        a: text,
        pattern: { type: 'string' },
        list: { type: 'array', items: text },
        one: { anyOf: [text] },
      },
      patternProperties: { [pattern]: { type: 'string' } },
      required: ['a', 'pattern'],
    }
    const long = `${'a'.repeat(48)}b`
    expect(check({ a: long, pattern: 'x', list: [long], one: long }, { schema: form })).toEqual([])
    expect(paths({ a: `${long}bb`, pattern: 1 }, { schema: form })).toEqual(['body.content.a', 'body.content.pattern'])
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
    ['it refers to elsewhere', { type: 'object', properties: { a: { $ref: 'https://a.test/b' } }, required: ['a'] }],
    ['it refers to nothing', { type: 'object', properties: { a: { $ref: '#/$defs/a' } }, required: ['a'] }],
    [
      'it refers to itself, twice and twice again',
      {
        type: 'object',
        allOf: [{ $ref: '#/$defs/a0' }],
        $defs: Object.fromEntries(
          Array.from({ length: 40 }, (_, at) => {
            const next = { $ref: `#/$defs/a${at + 1}` }
            return [`a${at}`, { anyOf: [next, next, { type: 'string' }] }]
          }),
        ),
      },
    ],
    [
      'it has too many alternatives',
      {
        type: 'object',
        anyOf: Array.from({ length: 1_000_000 }, () => ({ required: ['a'] })),
      },
    ],
    ['it has a condition', { type: 'object', not: { required: ['b'] }, required: ['a'] }],
  ])('objects to nothing where nothing can be said about the schema: %s', (_, odd) => {
    expect(check({}, { schema: odd })).toEqual([])
  })

  it('objects to nothing at a URL', () => {
    expect(check({}, { mode: 'url' })).toEqual([])
  })
})
