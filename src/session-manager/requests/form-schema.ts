/** Where a schema has one schema, a list of them, or some by name. */
const one = ['items', 'contains', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else']
const many = ['anyOf', 'oneOf', 'allOf', 'prefixItems', 'items']
const named = ['properties', '$defs', 'definitions', 'dependentSchemas']

/**
 * What tells nothing about a form that an answer could be held against here: a pattern can take for ever to match, and MCP
 * gives forms none. Whoever asked checks the answer itself.
 */
const unchecked = new Set(['pattern', 'patternProperties'])

/** Values in a schema times values in an answer: a check of more than that would keep everybody else waiting. */
const mostSteps = 1_000_000

/** A schema that can be checked in little time whoever has written it; `undefined` when it cannot. */
export function checkableSchema(schema: object, content: unknown): object | undefined {
  if (refers(schema) || sizeOf(schema) * sizeOf(content) > mostSteps) return undefined
  return withoutPatterns(schema)
}

function withoutPatterns(schema: object): object {
  const entries = Object.entries(schema).filter(([key]) => !unchecked.has(key))
  return Object.fromEntries(entries.map(([key, value]) => [key, below(key, value)]))
}

function below(key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return many.includes(key) ? value.map((item) => below('items', item)) : value
  if (one.includes(key)) return withoutPatterns(value)
  if (!named.includes(key)) return value
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, below('items', schema)]))
}

/** How many values it holds. */
function sizeOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce<number>((sum, item) => sum + sizeOf(item), 1)
}

/** A schema that is referred to may be visited any number of times. */
function refers(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, item]) => (key === '$ref' && typeof item === 'string') || refers(item))
}
