import type { z } from 'zod'
import type { ErrorDetail } from '../protocol/protocol.ts'

type Issue = z.core.$ZodIssue

/** What is wrong with a part of a request, each thing with its path: `body.messages[0].content`, `query.since`. */
export function detailsOf(error: z.ZodError, part: 'body' | 'query'): readonly ErrorDetail[] {
  return error.issues.flatMap(furthest).map(({ path, message }) => ({ path: pathText(part, path), message }))
}

/** Of the alternatives of a union, what is wrong with the one that came furthest. */
function furthest(issue: Issue): readonly Issue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const alternatives = issue.errors.map((issues) => issues.flatMap(furthest))
  const [best] = alternatives.sort((a, b) => depth(b) - depth(a))
  if (best === undefined || depth(best) === 0) return [issue]
  return best.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }))
}

function depth(issues: readonly Issue[]): number {
  return Math.max(0, ...issues.map(({ path }) => path.length))
}

function pathText(part: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    part,
  )
}
