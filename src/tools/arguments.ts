import { z } from 'zod'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { failure } from './result.ts'

/** The arguments of a call, or the result that tells the model what is wrong with them. */
export type Arguments<T> =
  | { readonly ok: true; readonly args: T }
  | { readonly ok: false; readonly result: ToolCallResult }

type Fields = Readonly<Record<string, unknown>>

/** What models call an argument, and what a tool calls it that has no other of that name. */
const otherNames: ReadonlyMap<string, string> = new Map([['command', 'cmd']])

/** The JSON schema that a model is shown for the arguments. */
export function parametersOf(schema: z.ZodType): Fields {
  const { $schema: _, ...parameters } = z.toJSONSchema(schema, {
    io: 'input',
    // A whole number needs no mention of how far JavaScript can count.
    override: ({ jsonSchema }) => {
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum
    },
  })
  return parameters
}

/**
 * Reads what a model wrote: JSON text, or a value that was read from it. Where it does not have the shape that
 * `parameters` asks for, it is repaired as far as its meaning is plain; `schema` has the last word.
 */
export function readArguments<T>(schema: z.ZodType<T>, parameters: unknown, raw: unknown): Arguments<T> {
  const read = readFields(parameters, raw)
  if (!read.ok) return read
  const parsed = schema.safeParse(read.args)
  if (parsed.success) return { ok: true, args: parsed.data }
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'arguments'}: ${message}`)
  return wrong(issues.join('; '))
}

/** Reads arguments of which only a JSON schema is known: repairs them and asks for those that are required. */
export function readFields(parameters: unknown, raw: unknown): Arguments<Fields> {
  const value = repair(parameters, parsedArguments(raw))
  if (!isFields(value)) return wrong('they must be one JSON object')
  const required = isFields(parameters) && Array.isArray(parameters.required) ? parameters.required : []
  const missing = required.filter((name) => typeof name === 'string' && !Object.hasOwn(value, name))
  return missing.length === 0 ? { ok: true, args: value } : wrong(`missing: ${missing.join(', ')}`)
}

function wrong(why: string): Arguments<never> {
  const output = `The arguments are not valid: ${why}. Call the tool again with arguments that match its schema.`
  return { ok: false, result: failure(output) }
}

/** Models write arguments as text, now and then as text within text, and sometimes none at all. */
export function parsedArguments(raw: unknown): unknown {
  let value = raw ?? {}
  for (let layer = 0; layer < 2 && typeof value === 'string'; layer++) {
    value = value.trim() === '' ? {} : (parsedJson(value) ?? value)
  }
  return value
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function repair(schema: unknown, value: unknown): unknown {
  if (!isFields(schema)) return value
  const types = typesOf(schema)
  const shaped = types.length === 0 || types.some((type) => isOf(type, value)) ? value : reshaped(types, value)
  if (Array.isArray(shaped)) return shaped.map((item) => repair(schema.items, item))
  return isFields(shaped) && isFields(schema.properties) ? repairFields(schema, schema.properties, shaped) : shaped
}

/** A value of the wrong type: JSON within text is unpacked, and a single value where several are expected is one of them. */
function reshaped(types: readonly string[], value: unknown): unknown {
  const inner = typeof value === 'string' ? parsedJson(value) : undefined
  if (inner !== undefined && inner !== null && types.some((type) => isOf(type, inner))) return inner
  return types.includes('array') && value !== null ? [value] : value
}

/**
 * Drops nulls that the schema does not know, which mean that nothing was said, and names it has no place for, unless what
 * they mean is plain.
 */
function repairFields(schema: Fields, properties: Fields, value: Fields): Fields {
  const kept = Object.entries(value).flatMap(([name, field]): [string, unknown][] => {
    if (Object.hasOwn(properties, name)) return repairField(name, properties[name], field)
    if (schema.additionalProperties !== false) return [[name, field]]
    const meant = otherNames.get(name)
    const isMeant = meant !== undefined && Object.hasOwn(properties, meant) && (value[meant] ?? null) === null
    return isMeant ? repairField(meant, properties[meant], field) : []
  })
  return Object.fromEntries(kept)
}

function repairField(name: string, property: unknown, field: unknown): [string, unknown][] {
  if (field === null && isFields(property) && !admitsNull(property)) return []
  return [[name, repair(property, field)]]
}

function admitsNull(schema: Fields): boolean {
  const types = typesOf(schema)
  return types.length === 0 ? 'anyOf' in schema || 'oneOf' in schema : types.includes('null')
}

function typesOf({ type }: Fields): readonly string[] {
  return [type].flat().filter((name) => typeof name === 'string')
}

function isOf(type: string, value: unknown): boolean {
  switch (type) {
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isFields(value)
    case 'integer':
      return Number.isInteger(value)
    default:
      return typeof value === type
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
