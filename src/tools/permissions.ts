import type { Permissions } from '../protocol/protocol.ts'
import { parsePattern } from './permission-pattern.ts'

/** What was granted for the session, and what the author of the team wrote. */
export interface PermissionTiers {
  readonly session?: Permissions | undefined
  readonly team?: Permissions | undefined
}

export type PermissionTier = 'session' | 'team'
export type PermissionEffect = 'deny' | 'allow' | 'ask'

/** What the rules say about a call. */
export interface PermissionRule {
  readonly tier: PermissionTier
  readonly effect: PermissionEffect
  /** The pattern that matched, as it was written. */
  readonly pattern: string
}

const tiers: readonly PermissionTier[] = ['session', 'team']
const effects: readonly PermissionEffect[] = ['deny', 'allow', 'ask']

/** The rule that decides a call: of the first tier that has any, deny before allow before ask. */
export function findRule(permissions: PermissionTiers, tool: string, args: unknown): PermissionRule | undefined {
  for (const tier of tiers) {
    for (const effect of effects) {
      const pattern = permissions[tier]?.[effect]?.find((text) => parsePattern(text).matches(tool, args))
      if (pattern !== undefined) return { tier, effect, pattern }
    }
  }
  return undefined
}

/** Whether the session allows the call in so many words: a trailing `*` does not reach into the next letters of a word. */
export function grantsInWords(permissions: PermissionTiers, tool: string, args: unknown): boolean {
  return permissions.session?.allow?.some((text) => parsePattern(text).matchesWords(tool, args)) ?? false
}
