import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Permissions } from '../../src/protocol/protocol.ts'
import { findRule, grantsInWords } from '../../src/tools/permissions.ts'

const call = ['shell', { cmd: 'git push' }] as const
const all: Permissions = { allow: ['shell'], ask: ['shell'], deny: ['shell'] }

describe('the rules', () => {
  test.each<[string, Permissions | undefined, Permissions | undefined, string | undefined]>([
    ['deny before all else', all, undefined, 'session deny'],
    ['allow before ask', { allow: ['*'], ask: ['shell'] }, undefined, 'session allow'],
    ['ask when nothing else matches', { allow: ['fetch'], ask: ['shell'], deny: ['think'] }, undefined, 'session ask'],
    ['the team when the session has no match', { deny: ['fetch'] }, all, 'team deny'],
    ['a session allow before a team deny', { allow: ['shell'] }, { deny: ['shell'] }, 'session allow'],
    ['a session ask before a team allow', { ask: ['shell'] }, { allow: ['shell'] }, 'session ask'],
    ['a session ask before a team deny', { ask: ['shell'] }, { deny: ['shell'] }, 'session ask'],
    ['a team allow before a team ask', undefined, { allow: ['shell:cmd=git*'], ask: ['*'] }, 'team allow'],
    ['nothing without a match', { deny: ['fetch'] }, { allow: ['think'] }, undefined],
    ['nothing without rules', undefined, undefined, undefined],
  ])('decide: %s', (_, session, team, expected) => {
    const rule = findRule({ session, team }, ...call)
    expect(rule && `${rule.tier} ${rule.effect}`).toBe(expected)
  })

  test('name the pattern that matched', () => {
    expect(findRule({ team: { deny: ['fetch', 'shell:cmd=git *'] } }, ...call)?.pattern).toBe('shell:cmd=git *')
  })

  test('let deny win within a tier, whatever else is there', () => {
    const patterns = fc.array(fc.constantFrom('shell', '*', 'sh*', 'shell:cmd=git*', 'shell:cmd=[', 'fetch', '[z-a]'))
    fc.assert(
      fc.property(patterns, patterns, patterns, patterns, (allow, ask, deny, other) => {
        const tier = { allow, ask, deny: [...deny, 'SHELL'] }
        expect(findRule({ team: tier }, ...call)?.effect).toBe('deny')
        expect(findRule({ session: tier, team: { allow: other } }, ...call)?.effect).toBe('deny')
      }),
    )
  })

  test('grant in so many words only what the session allows', () => {
    expect(grantsInWords({ session: { allow: ['shell:cmd=git*'] } }, ...call)).toBe(true)
    expect(grantsInWords({ session: { allow: ['shell:cmd=gi*'] } }, ...call)).toBe(false)
    expect(grantsInWords({ team: { allow: ['shell'] } }, ...call)).toBe(false)
  })
})
