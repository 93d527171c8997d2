import { runInNewContext } from 'node:vm'
import { z } from 'zod'
import type { ElicitationAnswer, ElicitationContent, ErrorDetail } from '../../protocol/protocol.ts'

/** A form: the content of an answer is always an object, so only a schema of one can be held against it. */
const FormSchema = z.union([
  z.looseObject({ type: z.literal('object') }),
  z.looseObject({ type: z.literal('object').default('object'), properties: z.record(z.string(), z.unknown()) }),
])

/**
 * What is wrong with the content that was accepted, each thing with its path in the body; nothing when there is no form. A
 * schema that cannot be read objects to nothing: the request must not be unanswerable because of who asked.
 */
export function objectionsTo(
  { mode, schema }: ElicitationContent,
  { action, content }: ElicitationAnswer,
): readonly ErrorDetail[] {
  const form = FormSchema.safeParse(schema)
  if (action !== 'accept' || mode === 'url' || !form.success) return []
  const issues = issuesOf(form.data, content ?? {})
  return issues.map(({ path, message }) => ({ path: pathText(path), message }))
}

type JsonSchema = Parameters<typeof z.fromJSONSchema>[0]

/** No person's answer needs as long; a pattern that tries every way to match may take for ever. */
const longestCheckMs = 250

/** A schema enters here from an MCP server or a model: what the library cannot make sense of, it throws at. */
function issuesOf(schema: object, content: unknown): readonly z.core.$ZodIssue[] {
  let issues: readonly z.core.$ZodIssue[] = []
  const check = (): void => {
    issues = z.fromJSONSchema(schema as JsonSchema).safeParse(content).error?.issues ?? []
  }
  try {
    // Nothing else takes a regular expression off this thread.
    runInNewContext('check()', { check }, { timeout: longestCheckMs })
    return issues
  } catch {
    return []
  }
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    'body.content',
  )
}
