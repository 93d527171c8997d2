import { z } from 'zod'
import type { ElicitationAnswer, ElicitationContent, ErrorDetail } from '../../protocol/protocol.ts'

/** A form: the content of an answer is always an object, so only a schema of one can be held against it. */
const FormSchema = z.union([
  z.looseObject({ type: z.literal('object') }),
  z.looseObject({ type: z.literal('object').default('object'), properties: z.record(z.string(), z.unknown()) }),
])

/**
 * Tells what is wrong with the content that was accepted, each thing with its path in the body; nothing when there is no form. A
 * schema that cannot be read objects to nothing: the request must not be unanswerable because of who asked.
 */
export type ElicitationCheck = (asked: ElicitationContent, answer: ElicitationAnswer) => readonly ErrorDetail[]

/** Gets the check of an answer ready. What reads schemas is loaded when something is entered into a form for the first time. */
export async function elicitationCheck({
  action,
}: {
  readonly action?: string | undefined
}): Promise<ElicitationCheck> {
  if (action !== 'accept') return () => []
  const { formObjections } = await import('./form-check.ts')
  return ({ mode, schema }, { content }) => {
    const form = FormSchema.safeParse(schema)
    return mode === 'url' || !form.success ? [] : formObjections(form.data, content ?? {})
  }
}
