import { readFileSync } from 'node:fs'
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'

/** Whose published request schema a body is held against; `schemas/README.md` says where each comes from. */
export const apis = ['openai-chat', 'openai-responses', 'anthropic', 'google', 'mistral'] as const
export type Api = (typeof apis)[number]

const known = new Map<Api, ValidateFunction>()

/** What is wrong with a request body by the provider's schema, one sentence each, the most exact first; none: nothing. */
export function wrongInRequest(api: Api, body: unknown): readonly string[] {
  const validate = validatorOf(api)
  if (validate(body)) return []
  const errors = (validate.errors ?? []).toSorted((a, b) => depth(b) - depth(a))
  const exact = errors.filter(({ keyword }) => !['anyOf', 'oneOf'].includes(keyword))
  return [...new Set((exact.length > 0 ? exact : errors).map(sentence))]
}

function validatorOf(api: Api): ValidateFunction {
  const compiled = known.get(api)
  if (compiled) return compiled
  const schema: object = JSON.parse(readFileSync(new URL(`schemas/${api}.json`, import.meta.url), 'utf8'))
  const validate = new Ajv2020({ allErrors: true, discriminator: true, strictTypes: false }).compile(schema)
  known.set(api, validate)
  return validate
}

function depth({ instancePath }: ErrorObject): number {
  return instancePath.split('/').length
}

function sentence({ instancePath, message, params }: ErrorObject): string {
  const value = Object.values(params).filter((one) => typeof one === 'string' || Array.isArray(one))
  return `${instancePath || '/'} ${message} (${value.join(', ')})`
}
