import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  ConfirmationInput,
  catalogue,
  type Endpoint,
  endpoints,
  errorCodes,
  events,
  everywhere,
  Gap,
  ofSession,
  Problem,
  SafetyPolicyInput,
  withBody,
  withKey,
} from '../../src/protocol/protocol.ts'
import { statusOf } from '../../src/server/problem.ts'
import { admissions } from '../../src/session-manager/inputs/admission.ts'
import { queueRules } from '../../src/session-manager/inputs/queue-rules.ts'
import { outcomes } from '../../src/session-manager/state/session-status.ts'
import { type Row, readProtocol, tablesIn } from './document.ts'
import { type Field, fieldOf, fieldsOf, partsOf, typeText } from './type-text.ts'
import { envelope, names, tabled } from './wire-names.ts'

const tables = readProtocol()
const ofKind = (kind: string) => tables.filter((table) => table.kind === kind)
const nameOf = ({ name }: { readonly name: string }): string => name
const rowsOf = (kind: string): readonly Row[] => ofKind(kind).flatMap(({ rows }) => rows)

const everyEndpoint: readonly Endpoint[] = Object.values(endpoints)
const onTheWire = new Set(
  [
    ...everyEndpoint.flatMap(({ query, body, answers }) => [query, body, ...Object.values(answers)]),
    ...Object.values(events),
    Gap,
    Problem,
  ].flatMap(partsOf),
)
const used = Object.keys(tabled).filter((name) => onTheWire.has(tabled[name]))
const isEnum = (name: string): boolean => tabled[name] instanceof z.ZodEnum

/** The rows of a table of fields, as the schemas are rendered. */
function fieldsIn(rows: readonly Row[]): readonly Field[] {
  return rows.map(({ Field: name = '', Type: type = '', Optional: optional = '' }) => ({ name, type, optional }))
}

describe('PROTOCOL.md', () => {
  test('has one table for every shape that the wire uses, and none besides', () => {
    const shapes = used.filter((name) => !isEnum(name))
    expect(ofKind('schema').map(nameOf).sort()).toEqual(shapes.sort())
  })

  test.each(ofKind('schema'))('writes the fields of $name as its schema has them', ({ name, rows }) => {
    expect(fieldsIn(rows)).toEqual(fieldsOf(tabled[name], names))
  })

  test('has one table for every enumeration that the wire uses, and none besides', () => {
    expect(ofKind('enum').map(nameOf).sort()).toEqual(used.filter(isEnum).sort())
  })

  test.each(ofKind('enum'))('lists the values of $name', ({ name, rows }) => {
    const schema = z.instanceof(z.ZodEnum).parse(tabled[name])
    expect(rows.map(({ Value }) => Value)).toEqual(schema.options.map((value) => JSON.stringify(value)))
  })

  test('has one table for every event, and none besides', () => {
    expect(ofKind('event').map(nameOf).sort()).toEqual(Object.keys(events).sort())
  })

  test.each(Object.entries(events))('writes the own fields of %s as its schema has them', (type, { shape }) => {
    const own = Object.entries(shape).filter(([name, schema]) => name !== 'type' && envelope[name] !== schema)
    const rows = ofKind('event').find(({ name }) => name === type)?.rows ?? []
    expect(fieldsIn(rows)).toEqual(own.map(([name, schema]) => fieldOf(name, schema, names)))
  })

  test('writes the fields that every event carries', () => {
    const fields = Object.entries(envelope).map(([name, schema]) => fieldOf(name, schema, names))
    expect(fieldsIn(rowsOf('envelope'))).toEqual(fields)
  })

  test('lists every error code with its statuses and whether it is retryable', () => {
    const rows = rowsOf('errors').map(({ Code, Status, Retryable }) => [Code, Status, Retryable])
    const expected = errorCodes.map((code) => {
      const statuses = new Set(everyEndpoint.map(({ method }) => statusOf(code, method)))
      return [code, [...statuses].sort().join(', '), catalogue[code].retryable ? 'yes' : 'no']
    })
    expect(rows).toEqual(expected)
  })

  test('lists the codes that come from many routes', () => {
    const shared = [everywhere, ofSession, withBody, withKey].map((codes) => codes.join(', '))
    expect(rowsOf('refusals').map(({ Codes }) => Codes)).toEqual(shared)
  })

  test('lists every route with what it takes, answers and refuses', () => {
    const columns = ['Method', 'Path', 'Query', 'Body', 'Answers', 'Refuses'] as const
    const rows = rowsOf('routes').map((row) => columns.map((column) => row[column]))
    expect(rows.map(String).sort()).toEqual(everyEndpoint.map(routeCells).map(String).sort())
  })

  test('lists what every action does in every state', () => {
    const expected = Object.keys(outcomes.idle).map((action) => {
      const cells = Object.entries(outcomes).map(([status, row]) => [status, outcomeText(row, action)])
      return { Action: action, ...Object.fromEntries(cells) }
    })
    expect(rowsOf('states')).toEqual(expected)
  })

  test('lists what a request to run does in every state of a session, whatever it wants of a busy one', () => {
    const expected = Object.entries(admissions).map(([policy, row]) => {
      const cells = Object.keys(row).map((state) => [state, outcomeText(row, state)])
      return { if_busy: policy, ...Object.fromEntries(cells) }
    })
    expect(rowsOf('admissions')).toEqual(expected)
  })

  test('lists what becomes of what waits, whatever happens', () => {
    const expected = Object.entries(queueRules).map(([Cause, { steer, followup, held }]) => ({
      Cause,
      steer,
      followup,
      held,
    }))
    expect(rowsOf('queue').map(({ Meaning: _, ...row }) => row)).toEqual(expected)
  })

  test('lists aliases that mean what it says', () => {
    const inputs: Readonly<Record<string, z.ZodType>> = {
      Confirmation: ConfirmationInput,
      SafetyPolicy: SafetyPolicyInput,
    }
    expect(ofKind('aliases').map(nameOf).sort()).toEqual(Object.keys(inputs))
    for (const { name, rows } of ofKind('aliases')) {
      expect(rows.length).toBeGreaterThan(0)
      for (const { Written, Means } of rows) expect(inputs[name]?.parse(Written)).toBe(Means)
    }
  })

  test('says of everything what it means', () => {
    const silent = tables.flatMap(({ kind, name, rows }) =>
      rows.filter(({ Meaning }) => Meaning === '').map((row) => `${kind} ${name}: ${Object.values(row).join(' ')}`),
    )
    expect(silent).toEqual([])
  })

  test('marks no table in a way that no test reads', () => {
    const known = 'admissions aliases enum envelope errors event queue refusals rerun routes schema states'.split(' ')
    expect([...new Set(tables.map(({ kind }) => kind))].sort()).toEqual(known)
  })

  test('links to headings that exist', () => {
    const text = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))
    const links = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, link = '']) => link)
    expect(links.filter((link) => !anchors.includes(link))).toEqual([])
  })
})

describe('the reader of tables', () => {
  test('reads cells with escaped lines, and a mark without a table', () => {
    const text = '<!-- a: B -->\n| X | Meaning |\n|---|---|\n| `p \\| q` |  |\n\n<!-- c -->\n\ntext'
    expect(tablesIn(text)).toEqual([
      { kind: 'a', name: 'B', rows: [{ X: 'p | q', Meaning: '' }] },
      { kind: 'c', name: '', rows: [] },
    ])
  })
})

function routeCells({ method, path, query, body, emptyBody, answers, refuses }: Endpoint): readonly string[] {
  const parameters = query === undefined ? [] : fieldsOf(query, names).map(({ name }) => name)
  const shown = Object.entries(answers).map(([status, schema]) => `${status} ${typeText(schema, names)}`)
  return [
    method,
    path,
    parameters.join(', '),
    body === undefined ? '' : typeText(body, names) + (emptyBody === undefined ? '' : '?'),
    shown.join('; '),
    refuses.join(', '),
  ]
}

function outcomeText(row: Readonly<Record<string, unknown>>, action: string): unknown {
  const outcome = row[action]
  return typeof outcome === 'string' ? outcome : z.object({ refuse: z.string() }).parse(outcome).refuse
}

/** How a heading is linked to: lower case, without punctuation, with hyphens for spaces. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')
}
