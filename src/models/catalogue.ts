import { z } from 'zod'
import shipped from './catalogue.json' with { type: 'json' }
import { type Capabilities, type ModelDefinition, Price } from './model-definition.ts'

const Entry = z.object({ context: z.number(), output: z.number(), cost: Price, text_only: z.literal(true).optional() })
type Entry = z.infer<typeof Entry>

const entries: ReadonlyMap<string, Entry> = new Map(
  Object.entries(z.object({ date: z.iso.date(), models: z.record(z.string(), Entry) }).parse(shipped).models),
)

/** What is known about a model without asking its provider. Tokens, and USD per million tokens. */
export type ModelFacts = {
  readonly contextLimit: number | undefined
  readonly outputLimit: number | undefined
  readonly price: Price | undefined
}

/**
 * The definition's own `cost` and `provider_opts.context_size` win over the shipped catalogue, which knows undated names:
 * `claude-sonnet-4-20250514` and `gpt-4o-2024-08-06` are looked up without their date.
 */
export function factsOf(definition: ModelDefinition): ModelFacts {
  const { cost, provider_opts: options } = definition
  const entry = entryOf(definition)
  const size = z.number().int().positive().safeParse(options?.context_size)
  return { contextLimit: size.data ?? entry?.context, outputLimit: entry?.output, price: cost ?? entry?.cost }
}

/** What the model can be shown: what the definition says, or else the catalogue; what neither says is true. */
export function capabilitiesOf(definition: ModelDefinition): Capabilities {
  const { image, pdf } = definition.capabilities ?? {}
  const sees = entryOf(definition)?.text_only === true ? false : undefined
  return { image: image ?? sees, pdf: pdf ?? sees }
}

/** `provider/model` of everything in the catalogue. */
export const catalogueRefs: readonly string[] = [...entries.keys()]

function entryOf({ provider, model }: ModelDefinition): Entry | undefined {
  return entries.get(`${provider}/${model}`) ?? entries.get(`${provider}/${undated(model)}`)
}

function undated(model: string): string {
  return model.replace(/-(latest|0|\d{8}|\d{4}|\d{4}-\d{2}-\d{2})$/, '')
}
