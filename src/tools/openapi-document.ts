import { parse } from 'yaml'
import { isFields } from './arguments.ts'
import { ToolsetFailure } from './toolset-failure.ts'

type Fields = Readonly<Record<string, unknown>>

/** Schemas are written out where they are referred to; beyond this many parts they are left open instead. */
const maxParts = 20_000
const maxDepth = 12
const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const
/** What a model can use of a schema. */
const schemaKeys: ReadonlySet<string> = new Set(
  (
    'type title description format enum const default items properties required additionalProperties oneOf anyOf ' +
    'allOf not minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength pattern minItems maxItems uniqueItems'
  ).split(' '),
)

export interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly schema: Fields
}

export interface Operation {
  readonly id: string
  readonly method: string
  readonly path: string
  readonly description: string
  /** Where it is served, as the document says it; the nearest word counts. */
  readonly server: string | undefined
  readonly parameters: readonly Parameter[]
  readonly body: { readonly type: string; readonly required: boolean; readonly schema: Fields } | undefined
}

/** An OpenAPI 3 document, as JSON or YAML, with references inside itself. */
export class OpenApiDocument {
  readonly #root: Fields
  #parts = 0

  /** Throws a `ToolsetFailure` when the text is no such document. */
  constructor(text: string) {
    const root = parsed(text)
    if (!isFields(root) || !String(root.openapi).startsWith('3.') || !isFields(root.paths)) {
      throw new ToolsetFailure('The document is not an OpenAPI 3 specification.')
    }
    this.#root = root
  }

  get operations(): readonly Operation[] {
    const paths = Object.entries(fieldsOf(this.#root.paths))
    return paths.flatMap(([path, item]) => {
      const known = this.#resolved(item)
      return methods.filter((method) => isFields(known[method])).map((method) => this.#operation(path, method, known))
    })
  }

  #operation(path: string, method: string, item: Fields): Operation {
    const operation = fieldsOf(item[method])
    const id =
      typeof operation.operationId === 'string' ? operation.operationId : `${method}_${path.replace(/^\/+/, '')}`
    const description = [operation.summary, operation.description].filter(
      (text) => typeof text === 'string' && text !== '',
    )
    const servers = [operation.servers, item.servers, this.#root.servers].find(Array.isArray)
    return {
      id,
      method: method.toUpperCase(),
      path,
      description: description.join('\n') || `${method.toUpperCase()} ${path}`,
      server: serverUrl(fieldsOf(servers?.[0])),
      parameters: this.#parameters([...listOf(item.parameters), ...listOf(operation.parameters)]),
      body: this.#body(operation.requestBody),
    }
  }

  /** Those of the operation take the place of those of the path. */
  #parameters(list: readonly unknown[]): readonly Parameter[] {
    const byName = new Map<string, Parameter>()
    for (const item of list) {
      const { name, in: place, required, schema, content, description } = this.#resolved(item)
      if (typeof name !== 'string' || typeof place !== 'string') continue
      const inner = schema ?? fieldsOf(Object.values(fieldsOf(content))[0]).schema
      const shown = { ...(typeof description === 'string' && { description }), ...this.#schema(inner) }
      byName.set(`${place} ${name}`, {
        name,
        in: place,
        required: required === true || place === 'path',
        schema: shown,
      })
    }
    return [...byName.values()]
  }

  #body(given: unknown): Operation['body'] {
    const { content, required } = this.#resolved(given)
    const types = Object.keys(fieldsOf(content))
    const type =
      types.find((type) => /[/+]json\b/.test(type)) ??
      types.find((type) => /x-www-form-urlencoded/.test(type)) ??
      types[0]
    if (type === undefined) return undefined
    const { schema } = fieldsOf(fieldsOf(content)[type])
    return { type, required: required === true, schema: this.#schema(schema) }
  }

  /** A schema with its references written out; what refers to itself, or is too large, is left open. */
  #schema(given: unknown, depth = 0, within: readonly string[] = []): Fields {
    if (!isFields(given) || depth > maxDepth || ++this.#parts > maxParts) return {}
    if (typeof given.$ref === 'string') {
      return within.includes(given.$ref) ? {} : this.#schema(this.#at(given.$ref), depth + 1, [...within, given.$ref])
    }
    const inner = (schema: unknown) => this.#schema(schema, depth + 1, within)
    const shown = Object.entries(given)
      .filter(([key]) => schemaKeys.has(key))
      .map(([key, value]) => [key, shownPart(key, value, inner)])
    return nullable(given, Object.fromEntries(shown))
  }

  #resolved(given: unknown, hops = 0): Fields {
    const fields = fieldsOf(given)
    return typeof fields.$ref === 'string' && hops < maxDepth ? this.#resolved(this.#at(fields.$ref), hops + 1) : fields
  }

  /** What a reference such as `#/components/schemas/Pet` leads to; nothing for one that leads out of the document. */
  #at(reference: string): unknown {
    if (!reference.startsWith('#/')) return undefined
    const names = reference
      .slice(2)
      .split('/')
      .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
    return names.reduce<unknown>((value, name) => {
      return isFields(value) && Object.hasOwn(value, name) ? value[name] : undefined
    }, this.#root)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: YAML then.
  }
  try {
    return parse(text, { maxAliasCount: 100 })
  } catch (error) {
    throw new ToolsetFailure('The document is neither JSON nor YAML.', error)
  }
}

function shownPart(key: string, value: unknown, inner: (schema: unknown) => Fields): unknown {
  switch (key) {
    case 'properties':
      return Object.fromEntries(Object.entries(fieldsOf(value)).map(([name, schema]) => [name, inner(schema)]))
    case 'oneOf':
    case 'anyOf':
    case 'allOf':
      return listOf(value).map(inner)
    case 'items':
    case 'not':
      return inner(value)
    case 'additionalProperties':
      return isFields(value) ? inner(value) : value
    default:
      return value
  }
}

/** OpenAPI 3.0 has a key of its own for what JSON schema says with a type. */
function nullable(given: Fields, shown: Fields): Fields {
  return given.nullable === true && typeof shown.type === 'string' ? { ...shown, type: [shown.type, 'null'] } : shown
}

function serverUrl({ url, variables }: Fields): string | undefined {
  if (typeof url !== 'string') return undefined
  return url.replace(/\{([^{}]+)\}/g, (_, name: string) => String(fieldsOf(fieldsOf(variables)[name]).default ?? ''))
}

function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {}
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
