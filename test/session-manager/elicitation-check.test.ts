import { describe, expect, it } from 'vitest'
import type { ElicitationAnswer, ElicitationContent } from '../../src/protocol/protocol.ts'
import { elicitationCheck } from '../../src/session-manager/requests/elicitation-check.ts'

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

async function check(
  content: unknown,
  more: Partial<ElicitationContent> = {},
  action: ElicitationAnswer['action'] = 'accept',
) {
  const objectionsTo = await elicitationCheck({ action })
  // What a client sends may be anything.
  const answer = { action, content: content as ElicitationAnswer['content'] }
  return objectionsTo({ kind: 'elicitation', message: 'who?', mode: 'form', schema, ...more }, answer)
}

async function paths(...args: Parameters<typeof check>): Promise<readonly string[]> {
  return (await check(...args)).map(({ path }) => path)
}

describe('the check of an elicitation', () => {
  it('takes what the schema asks for, and what it says nothing about', async () => {
    const whole = { email: 'a@b.cd', age: 20, colour: 'red', size: 'l', tags: ['a'], when: '2026-01-01T00:00:00+02:00' }
    expect(await check({ ...whole, other: 1 })).toEqual([])
    expect(await check({ email: 'a@b.cd' })).toEqual([])
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
  ])('objects to %s, and says where', async (_, content, found) => {
    expect(await paths(content)).toEqual(found)
  })

  it('takes a schema with properties as one of an object', async () => {
    const { type: _, ...untyped } = schema
    expect(await paths({}, { schema: untyped })).toEqual(['body.content.email'])
  })

  const oneOf = (...ways: readonly object[]) => ({
    type: 'object',
    properties: { email: { type: 'string' }, phone: { type: 'string' } },
    oneOf: ways,
  })
  const email = { required: ['email'] }
  const phone = { required: ['phone'] }

  it('takes the parts of a schema that have no type for parts of the same value', async () => {
    const either = oneOf(email, phone)
    expect(await check({ phone: '1' }, { schema: either })).toEqual([])
    expect(await paths({}, { schema: either })).toEqual(['body.content'])
    expect(await paths({ email: 'a', phone: '1' }, { schema: either })).toEqual(['body.content'])
    const { oneOf: ways, ...form } = either
    expect(await check({ email: 'a', phone: '1' }, { schema: { ...form, anyOf: ways } })).toEqual([])
    expect(await paths({}, { schema: { ...form, anyOf: ways } })).toEqual(['body.content'])
    expect(await paths({ phone: '1' }, { schema: { ...form, allOf: ways } })).toEqual(['body.content.email'])
    const phones = { ...form.properties, phone: { type: 'string', default: 'none' } }
    expect(await check({ email: 'a' }, { schema: { ...form, properties: phones, allOf: ways } })).toEqual([])
    const beginning = (letter: string) => ({ pattern: `^${letter}` })
    const code = { type: 'string', oneOf: [beginning('a'), beginning('b')] }
    expect(await check({ code: 'b1' }, { schema: { type: 'object', properties: { code } } })).toEqual([])
    expect(await paths({ code: 'c1' }, { schema: { type: 'object', properties: { code } } })).toEqual([
      'body.content.code',
    ])
  })

  it.each([
    ['that is not described', { type: 'object', required: ['a'] }, {}, ['body.content.a']],
    [
      'below',
      { type: 'object', properties: { a: { properties: { b: {} }, required: ['b'] } } },
      { a: {} },
      ['body.content.a.b'],
    ],
    [
      'in entries of a list',
      { type: 'object', properties: { a: { type: 'array', minItems: 1 } } },
      { a: [] },
      ['body.content.a'],
    ],
    ['that comes with something', { type: 'object', dependentRequired: { a: ['b'] } }, { a: 1 }, ['body.content.b']],
  ])('objects when something is missing %s', async (_, odd, content, found) => {
    expect(await paths(content, { schema: odd })).toEqual(found)
  })

  it.each<[string, object, unknown, unknown]>([
    ['objects', { enum: [{ id: 1 }, { id: 2 }] }, { id: 2 }, { id: 3 }],
    ['a list', { const: [1, 2] }, [1, 2], [2, 1]],
    ['letters of any script', { type: 'string', pattern: '^\\p{L}+$' }, 'Müller', 'R2'],
    ['places on a site', { type: 'string', format: 'uri-reference' }, '/docs', 'no place'],
    ['what is told elsewhere in the schema', { $ref: '#/$defs/short' }, 'abc', 'abcd'],
  ])('compares %s', async (_, field, entered, other) => {
    const $defs = { short: { type: 'string', maxLength: 3 } }
    const form = { type: 'object', properties: { field }, required: ['field'], $defs }
    expect(await check({ field: entered }, { schema: form })).toEqual([])
    expect(await paths({ field: other }, { schema: form })).toEqual(['body.content.field'])
  })

  it.each(['decline', 'cancel'] as const)('asks nothing of who says %s', async (action) => {
    expect(await check({}, {}, action)).toEqual([])
  })

  it.each([
    ['there is none', undefined],
    ['it is no schema', 'object'],
    ['it is of a single value', { type: 'string' }],
    ['its types do not exist', { type: 'object', properties: { a: { type: 'banana' } }, required: ['a'] }],
    ['its pattern is broken', { type: 'object', properties: { a: { type: 'string', pattern: '(' } }, required: ['a'] }],
    ['it refers to elsewhere', { type: 'object', properties: { a: { $ref: 'https://a.test/b' } }, required: ['a'] }],
    ['it refers to nothing', { type: 'object', properties: { a: { $ref: '#/$defs/a' } }, required: ['a'] }],
  ])('objects to nothing where nothing can be said about the schema: %s', async (_, odd) => {
    expect(await check({}, { schema: odd })).toEqual([])
  })

  it('objects to nothing that takes for ever to be found', async () => {
    const endless = { type: 'object', properties: { name: { type: 'string', pattern: '^(a+)+$' } } }
    expect(await check({ name: `${'a'.repeat(50)}!` }, { schema: endless })).toEqual([])
    expect(await paths({ name: 'b' }, { schema: endless })).toEqual(['body.content.name'])
  })

  it('objects to nothing at a URL', async () => {
    expect(await check({}, { mode: 'url' })).toEqual([])
  })
})
