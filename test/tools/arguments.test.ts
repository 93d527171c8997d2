import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { parametersOf, readArguments, readFields } from '../../src/tools/arguments.ts'
import { expandHeaders, expandShellVariables, expandVariables } from '../../src/tools/variables.ts'

const Schema = z.strictObject({
  text: z.string(),
  count: z.number().int().optional(),
  flag: z.boolean().optional(),
  list: z.array(z.string()).optional(),
  items: z.array(z.strictObject({ id: z.string(), note: z.string().optional() })).optional(),
  either: z.union([z.string(), z.null()]).optional(),
})
const parameters = parametersOf(Schema)

describe('the arguments of a call', () => {
  it.each([
    ['text', '{"text":"a"}', { text: 'a' }],
    ['a value', { text: 'a' }, { text: 'a' }],
    ['text within text', '"{\\"text\\":\\"a\\"}"', { text: 'a' }],
    ['a list as text', { text: 'a', list: '["x","y"]' }, { text: 'a', list: ['x', 'y'] }],
    ['one text where a list is expected', { text: 'a', list: 'x' }, { text: 'a', list: ['x'] }],
    ['text with a bracket where a list is expected', { text: 'a', list: '[x' }, { text: 'a', list: ['[x'] }],
    ['one object where a list is expected', { text: 'a', items: { id: 'x' } }, { text: 'a', items: [{ id: 'x' }] }],
    ['objects as text', { text: 'a', items: ['{"id":"x"}'] }, { text: 'a', items: [{ id: 'x' }] }],
    ['null for what may be left out', { text: 'a', count: null, list: null }, { text: 'a' }],
    ['null within a list', { text: 'a', items: [{ id: 'x', note: null }] }, { text: 'a', items: [{ id: 'x' }] }],
    ['null where it is meant', { text: 'a', either: null }, { text: 'a', either: null }],
    ['a number and a flag as text', { text: 'a', count: '3', flag: 'true' }, { text: 'a', count: 3, flag: true }],
    ['names that nobody knows', { text: 'a', other: 1, __proto__: { x: 1 } }, { text: 'a' }],
    ['text that looks like something else', { text: '[1]' }, { text: '[1]' }],
  ])('are read from %s', (_, raw, args) => {
    expect(readArguments(Schema, parameters, raw)).toEqual({ ok: true, args })
  })

  it.each([
    ['nothing', '', 'missing: text'],
    ['nothing at all', undefined, 'missing: text'],
    ['half an object', '{"text":', 'they must be one JSON object'],
    ['a list', '[]', 'they must be one JSON object'],
    ['null for what is needed', { text: null }, 'missing: text'],
    ['a value of another type', { text: 1 }, 'text: '],
    ['a text that is no number', { text: 'a', count: 'three' }, 'count: '],
    ['an object that lacks something', { text: 'a', items: [{}] }, 'items.0.id: '],
  ])('are refused when they are %s', (_, raw, message) => {
    const read = readArguments(Schema, parameters, raw)
    expect(read).toMatchObject({ ok: false, result: { isError: true, output: expect.stringContaining(message) } })
  })

  it('are read from no text when nothing is needed', () => {
    expect(readFields({ type: 'object' }, ' ')).toEqual({ ok: true, args: {} })
  })

  it('keep the names that a schema leaves open', () => {
    expect(readFields({ type: 'object', properties: {} }, { a: null })).toEqual({ ok: true, args: { a: null } })
  })

  it('are described without what models have no use for', () => {
    expect(parameters).toMatchObject({ type: 'object', required: ['text'], additionalProperties: false })
    expect(parameters).toHaveProperty('properties.count', { type: 'integer' })
  })
})

describe('variables', () => {
  const variables = { A: 'a', B: '${env.A}', C: '$&' }

  it.each([
    ['${env.A}-${env.B}-${env.NONE}-${env.C}', 'a-${env.A}--$&'],
    ['$A ${A} ${env.a-b}', '$A ${A} ${env.a-b}'],
  ])('are put into %s', (text, expanded) => {
    expect(expandVariables(text, variables)).toBe(expanded)
  })

  it('are put in as in a shell where that is usual', () => {
    expect(expandShellVariables('$A/${A}:${env.A}$NONE', variables)).toBe('a/a:a')
  })

  it('of headers are found in whatever case', () => {
    expect(expandHeaders('<${headers.X-Key}${headers.none}>', { 'x-key': 'v' })).toBe('<v>')
  })
})
