import { describe, expect, test } from 'vitest'
import {
  catalogue,
  type Endpoint,
  endpoints,
  errorCodes,
  everywhere,
  ofSession,
  Refusal,
  withBody,
  withKey,
} from '../../src/protocol/protocol.ts'

const everyEndpoint: readonly (readonly [string, Endpoint])[] = Object.entries(endpoints)

describe('the catalogue', () => {
  test.each(errorCodes)('writes %s in lower case with underscores, and gives it a title', (code) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/)
    expect(catalogue[code].title).toMatch(/^[A-Z].*[^.]$/)
  })

  test('gives no title twice', () => {
    const titles = errorCodes.map((code) => catalogue[code].title)
    expect(new Set(titles).size).toBe(titles.length)
  })

  test('holds no code that nobody refuses with', () => {
    const outsideRoutes = ['unknown_route', 'method_not_allowed', 'already_attached']
    const refused = new Set<string>([...everywhere, ...ofSession, ...withBody, ...withKey, ...outsideRoutes])
    for (const [, { refuses }] of everyEndpoint) for (const code of refuses) refused.add(code)
    expect(errorCodes.filter((code) => !refused.has(code))).toEqual([])
  })
})

describe('a refusal', () => {
  test('says its details when nothing else is said', () => {
    const details = [
      { path: 'body.before', message: 'is nothing that waits' },
      { path: 'query.limit', message: 'is no number' },
    ]
    const { message } = new Refusal('invalid_request', undefined, { details })
    expect(message).toBe('body.before: is nothing that waits; query.limit: is no number')
    expect(new Refusal('invalid_request', 'Something else', { details }).message).toBe('Something else')
  })

  test('says the title of its code when nothing else is said', () => {
    const refusal = new Refusal('session_busy')
    expect(refusal).toMatchObject({ code: 'session_busy', message: 'The session is busy with a run', name: 'Refusal' })
    expect(refusal.details).toBeUndefined()
    expect(refusal.retryAfter).toBeUndefined()
    expect('cause' in refusal).toBe(false)
  })

  test('carries details, a time to try again and its cause', () => {
    const cause = new Error('disk full')
    const details = [{ path: 'body.title', message: 'must be text' }]
    const refusal = new Refusal('store_unavailable', 'not now', { details, retryAfter: 1, cause })
    expect(refusal).toMatchObject({ message: 'not now', details, retryAfter: 1, cause })
  })
})

describe('the table of endpoints', () => {
  test('names every route once', () => {
    const routes = everyEndpoint.map(([, { method, path }]) => `${method} ${path.replaceAll(/:\w+/g, ':')}`)
    expect(new Set(routes).size).toBe(routes.length)
  })

  test.each(everyEndpoint)('lists for %s no code twice', (_name, { path, refuses, body }) => {
    const codes = [...(path.startsWith('/api/') ? everywhere : []), ...(body === undefined ? [] : withBody), ...refuses]
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([])
  })

  test.each(everyEndpoint)(
    'says for %s that it is malformed when it takes a query',
    (_name, { query, body, refuses }) => {
      if (query !== undefined && body === undefined) expect(refuses).toContain('invalid_request')
    },
  )

  test.each(everyEndpoint)('gives %s an empty body that its schema takes', (_name, { body, emptyBody }) => {
    if (emptyBody !== undefined) expect(body?.safeParse(emptyBody).success).toBe(true)
  })

  test.each(everyEndpoint)('says for %s that there may be no such session', (_name, { path, refuses }) => {
    if (path.startsWith('/api/sessions/:id')) expect(refuses).toContain('unknown_session')
  })
})
