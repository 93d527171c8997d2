import { runInNewContext } from 'node:vm'
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { ErrorDetail } from '../../protocol/protocol.ts'

/** No person's answer needs as long; a pattern that tries every way to match may take for ever. */
const longestCheckMs = 250

const options = {
  allErrors: true,
  ownProperties: true,
  useDefaults: true,
  strict: false,
  validateSchema: false,
  meta: false,
  logger: false,
} as const

/**
 * What a JSON schema (draft 2020-12) objects to in the content of an answer, each thing with its path in the body. The schema
 * enters here from an MCP server or a model: where it makes no sense, or takes for ever, nothing is objected to.
 */
export function formObjections(schema: object, content: unknown): readonly ErrorDetail[] {
  let errors: readonly ErrorObject[] = []
  const check = (): void => {
    const validate = addFormats.default(new Ajv2020(options)).compile(schema)
    const whole = structuredClone(content)
    // What has a default need not be entered: the first look puts it in, perhaps after it was missed.
    for (let look = 0; look < 2; look++) validate(whole)
    errors = validate.errors ?? []
  }
  try {
    // Nothing else takes a regular expression off this thread.
    runInNewContext('check()', { check }, { timeout: longestCheckMs })
  } catch {
    return []
  }
  return errors.filter(saysWhat).map((error) => ({ path: pathOf(error, content), message: messageOf(error) }))
}

/** Why each of several ways does not fit says less than that none does. */
function saysWhat({ schemaPath }: ErrorObject): boolean {
  return !/\/(anyOf|oneOf)\/\d+\//.test(schemaPath)
}

/** A JSON pointer, and the property that is missing or too much there, as a path in the body. */
function pathOf({ instancePath, params }: ErrorObject, content: unknown): string {
  const place = instancePath.split('/').slice(1).map(unescaped)
  const { missingProperty, additionalProperty } = params
  const property: unknown = missingProperty ?? additionalProperty
  if (typeof property === 'string') place.push(property)
  let path = 'body.content'
  let value = content
  for (const key of place) {
    path += Array.isArray(value) ? `[${key}]` : `.${key}`
    value = Object(value)[key]
  }
  return path
}

/** RFC 6901, section 4. */
function unescaped(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~')
}

function messageOf({ keyword, message = 'does not fit', params }: ErrorObject): string {
  if (keyword === 'enum') return `${message}: ${JSON.stringify(params.allowedValues)}`
  return keyword === 'const' ? `${message} ${JSON.stringify(params.allowedValue)}` : message
}
