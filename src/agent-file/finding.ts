import type { z } from 'zod'
import { type ErrorDetail, Refusal } from '../protocol/protocol.ts'

/** One thing that is wrong with a file, and the path to it. */
export interface Finding {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

export const Finding = {
  toDetail(finding: Finding, line: number): ErrorDetail {
    return { path: finding.path.map(String).join('.'), message: `${finding.message} (line ${line})` }
  },

  /** What a schema found, one finding for each unknown key; `value` is what was checked. */
  fromIssues(issues: readonly z.core.$ZodIssue[], value: unknown): Finding[] {
    return issues.flatMap((issue) => fromIssue(issue, value, []))
  },
}

/** `invalid_agent_file`, with the first finding in the message and all of them in the details. */
export function invalidAgentFile(origin: string, details: readonly ErrorDetail[]): Refusal {
  const [first] = details
  const more = details.length > 1 ? ` (and ${details.length - 1} more)` : ''
  const what = first === undefined ? '' : `${first.path === '' ? '' : `${first.path}: `}${first.message}`
  return new Refusal('invalid_agent_file', `${origin}: ${what}${more}`, { details })
}

type Issue = z.core.$ZodIssue

function fromIssue(issue: Issue, value: unknown, base: readonly PropertyKey[]): Finding[] {
  const path = [...base, ...issue.path]
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key], message: 'unknown key' }))
  }
  if (valueAt(value, path) === undefined) return [{ path, message: 'is missing' }]
  if (issue.code === 'invalid_union') return fromUnion(issue.errors, value, path)
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message }]
  return [{ path, message: issue.message.replace(/^Invalid (input|option): /, '') }]
}

/** The branch that got past the type of the value is the one its author meant. */
function fromUnion(branches: readonly (readonly Issue[])[], value: unknown, path: readonly PropertyKey[]): Finding[] {
  const meant = branches.find((issues) => !issues.some(isWrongType))
  if (meant !== undefined) return meant.flatMap((issue) => fromIssue(issue, value, path))
  const expected = branches.flatMap((issues) => issues.filter(isWrongType).map((issue) => issue.expected))
  return [{ path, message: `expected ${[...new Set(expected)].join(' or ')}` }]
}

function isWrongType(issue: Issue): issue is z.core.$ZodIssueInvalidType {
  return issue.code === 'invalid_type' && issue.path.length === 0
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, step) : undefined),
    value,
  )
}
