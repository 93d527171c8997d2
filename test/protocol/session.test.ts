import { describe, expect, test } from 'vitest'
import {
  Confirmation,
  ConfirmationInput,
  endpoints,
  SafetyPolicy,
  SafetyPolicyInput,
  SessionTemplate,
} from '../../src/protocol/protocol.ts'

describe('a safety policy', () => {
  test.each<readonly [string, string]>([
    ['unsafe', 'autonomous'],
    ['safer', 'balanced'],
    ['safe-auto', 'balanced'],
    ...SafetyPolicy.options.map((policy) => [policy, policy] as const),
  ])('written %j means %j', (written, meant) => {
    expect(SafetyPolicyInput.parse(written)).toBe(meant)
  })

  test.each(['Strict', 'yolo', 'toString', 'constructor', '__proto__', null, 1, {}])('is not %j', (written) => {
    expect(SafetyPolicyInput.safeParse(written).success).toBe(false)
  })

  test('is missing, which means nobody has chosen, in an empty body', () => {
    const { body, emptyBody } = endpoints.setSafetyPolicy
    expect(body.parse(emptyBody)).toEqual({ safety_policy: '' })
  })
})

describe('a confirmation', () => {
  test.each<readonly [string, string]>([
    ['approve-session', 'approve-autonomous'],
    ['approve-safe', 'approve-balanced'],
    ['approve-safer', 'approve-balanced'],
    ...Confirmation.options.map((verb) => [verb, verb] as const),
  ])('written %j means %j', (written, meant) => {
    expect(ConfirmationInput.parse(written)).toBe(meant)
  })

  test.each(['', 'yes', 'APPROVE', 'toString', undefined, null, true])('is not %j', (written) => {
    expect(ConfirmationInput.safeParse(written).success).toBe(false)
  })

  test('is needed to resume', () => {
    expect(endpoints.resume.body.safeParse({}).success).toBe(false)
  })
})

describe('the template of a session', () => {
  test('may be empty', () => {
    expect(SessionTemplate.parse(endpoints.createSession.emptyBody)).toEqual({})
  })

  test('takes a whole session as old clients send it, and keeps what they may choose', () => {
    const session = { id: 'x', messages: null, created_at: '', starred: false, cost: 0, SendUserMessage: false }
    expect(SessionTemplate.parse({ ...session, title: ' A ', safety_policy: 'unsafe', permissions: null })).toEqual({
      title: 'A',
      safety_policy: 'autonomous',
      permissions: null,
    })
  })

  test.each([{ title: 1 }, { safety_policy: 'yolo' }, { permissions: [] }, { max_iterations: 1.5 }, [], 'x', null])(
    'is not %j',
    (template) => {
      expect(SessionTemplate.safeParse(template).success).toBe(false)
    },
  )
})
