import { z } from 'zod'
import { parseDuration } from '../protocol/protocol.ts'

/** A key that may be missing. A key without a value (`toolsets:` and nothing after it) counts as missing. */
export function optional<T extends z.ZodType>(schema: T) {
  return z.preprocess((value) => value ?? undefined, schema.optional())
}

export const Text = z.string()
export const Flag = z.boolean()
export const Texts = z.array(z.string())
export const TextMap = z.record(z.string(), z.string())
export const Count = z.number().int().nonnegative()

/** A JSON object that is carried and not looked into. */
export const FreeForm = z.record(z.string(), z.unknown())

/** A length of time as Go writes it, for instance `1m30s`. */
export const Duration = z.string().refine((text) => (parseDuration(text) ?? -1) >= 0, {
  error: 'expected a duration such as 30s or 1m30s',
})

export const Safety = z.enum(['strict', 'balanced', 'restricted', 'autonomous'])
export type Safety = z.infer<typeof Safety>

/** Several texts make one, with a blank line between them. */
export function joinTexts(texts: readonly string[]): string {
  return texts.map((text, index) => (index === texts.length - 1 ? text : text.trimEnd())).join('\n\n')
}
