import { z } from 'zod'
import { EventStream, Wait } from '../../src/protocol/protocol.ts'

/** Schemas that have a table of their own, with the name that stands for them elsewhere. */
export type Names = ReadonlyMap<unknown, string>

/** One field of an object as PROTOCOL.md writes it. */
export interface Field {
  readonly name: string
  readonly type: string
  /** `no`, `yes`, or `default X`. */
  readonly optional: string
}

/** Stands for every key that a loose object does not name. */
const anyOther: Field = { name: '*', type: 'any', optional: 'yes' }

/** The fields of an object; of a union, those of its one object; of a body that is rewritten, as clients write it. */
export function fieldsOf(schema: unknown, names: Names): readonly Field[] {
  const object = objectIn(schema)
  if (object === undefined) throw new TypeError('not an object')
  const fields = Object.entries(object.shape).map(([name, field]) => fieldOf(name, field, names))
  return isLoose(object) ? [...fields, anyOther] : fields
}

export function fieldOf(name: string, schema: unknown, names: Names): Field {
  return { name, type: typeText(schema, names), optional: optionalText(schema) }
}

/** A schema in words: what a client reads, or writes. Optional and default are not part of it. */
export function typeText(schema: unknown, names: Names): string {
  const name = schema === Wait ? 'duration' : schema === EventStream ? 'event stream' : names.get(schema)
  return name ?? wrapped(schema, names) ?? composed(schema, names) ?? simple(schema)
}

/** The object that a schema is about, if there is exactly one. */
export function objectIn(schema: unknown): z.ZodObject | undefined {
  if (schema instanceof z.ZodObject) return schema
  if (schema instanceof z.ZodPipe) return objectIn(written(schema))
  if (schema instanceof z.ZodUnion) return schema.options.map(objectIn).find((option) => option !== undefined)
  return undefined
}

/** Every schema that a schema is made of, itself included. */
export function partsOf(schema: unknown): readonly unknown[] {
  return [schema, ...childrenOf(schema).flatMap(partsOf)]
}

function childrenOf(schema: unknown): readonly unknown[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault) {
    return [schema.unwrap()]
  }
  if (schema instanceof z.ZodPipe) return [written(schema)]
  if (schema instanceof z.ZodArray) return [schema.element]
  if (schema instanceof z.ZodUnion) return schema.options
  if (schema instanceof z.ZodRecord) return [schema.valueType]
  return schema instanceof z.ZodObject ? Object.values(schema.shape) : []
}

/** The side of a pipe that is a schema: what comes before a transform, or after a preprocessing. */
function written(pipe: z.ZodPipe): unknown {
  return pipe.in instanceof z.ZodTransform ? pipe.out : pipe.in
}

function wrapped(schema: unknown, names: Names): string | undefined {
  if (schema instanceof z.ZodNullable) return `${typeText(schema.unwrap(), names)} | null`
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return typeText(schema.unwrap(), names)
  return schema instanceof z.ZodPipe ? typeText(written(schema), names) : undefined
}

function composed(schema: unknown, names: Names): string | undefined {
  if (schema instanceof z.ZodUnion) return schema.options.map((option) => typeText(option, names)).join(' | ')
  if (schema instanceof z.ZodRecord) return `map of ${typeText(schema.valueType, names)}`
  if (schema instanceof z.ZodArray) {
    const element = typeText(schema.element, names)
    return element.includes(' ') && !element.startsWith('{') ? `(${element})[]` : `${element}[]`
  }
  return schema instanceof z.ZodObject ? objectText(schema, names) : undefined
}

function objectText(schema: z.ZodObject, names: Names): string {
  const fields = Object.entries(schema.shape).map(([name, field]) => {
    const { type, optional } = fieldOf(name, field, names)
    return `${name}${optional === 'no' ? '' : '?'}: ${type}`
  })
  if (fields.length === 0) return 'object'
  return `{${[...fields, ...(isLoose(schema) ? ['…'] : [])].join(', ')}}`
}

function simple(schema: unknown): string {
  if (schema instanceof z.ZodEnum) return schema.options.map((option) => JSON.stringify(option)).join(' | ')
  if (schema instanceof z.ZodLiteral) return [...schema.values].map((value) => JSON.stringify(value)).join(' | ')
  if (schema instanceof z.ZodISODateTime) return 'time'
  if (schema instanceof z.ZodString) return 'string'
  if (schema instanceof z.ZodNumber) return z.toJSONSchema(schema).type === 'integer' ? 'integer' : 'number'
  if (schema instanceof z.ZodBoolean) return 'boolean'
  if (schema instanceof z.ZodNull) return 'null'
  if (schema instanceof z.ZodUnknown) return 'any'
  throw new TypeError('the type language has no word for this schema')
}

function optionalText(schema: unknown): string {
  if (schema instanceof z.ZodDefault) {
    const value: unknown = schema.def.defaultValue
    return `default ${schema.unwrap() === Wait ? `${Number(value) / 1000}s` : JSON.stringify(value)}`
  }
  return schema instanceof z.ZodOptional ? 'yes' : 'no'
}

function isLoose(schema: z.ZodObject): boolean {
  return schema.def.catchall instanceof z.ZodUnknown
}
