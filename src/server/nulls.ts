/** What is below these keys is not ours to read. */
const freeForm: ReadonlySet<string> = new Set([
  'attributes',
  'content',
  'meta',
  'outputSchema',
  'parameters',
  'provider_metadata',
  'schema',
  'tool_definitions',
])

/** A body in which a key that holds null is one that is not there: many clients write null for nothing. */
export function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  const said = Object.entries(value).filter(([, field]) => field !== null)
  return Object.fromEntries(said.map(([key, field]) => [key, freeForm.has(key) ? field : withoutNulls(field)]))
}
