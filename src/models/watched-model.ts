import type { LanguageModel, ModelPart, ModelRequest } from './language-model.ts'
import { ModelFailure } from './model-failure.ts'
import { Silence } from './silence.ts'

/**
 * A model whose calls fail as `idle` when it sends nothing for so many milliseconds; `Infinity` is never. Such a call is
 * ended, and nobody waits until it has left.
 */
export function watchedModel(model: LanguageModel, silenceMs: number): LanguageModel {
  if (!Number.isFinite(silenceMs)) return model
  return { ...model, stream: (request, signal) => watched(model, silenceMs, request, signal) }
}

async function* watched(
  model: LanguageModel,
  silenceMs: number,
  request: ModelRequest,
  signal: AbortSignal,
): AsyncGenerator<ModelPart, void, undefined> {
  const stop = new AbortController()
  const parts = model.stream(request, AbortSignal.any([signal, stop.signal]))
  let isSilent = false
  try {
    for (;;) {
      const step = await within(parts.next(), silenceMs)
      isSilent = step === undefined
      if (step === undefined) throw silent(model, silenceMs)
      if (step.done === true) return
      yield step.value
    }
  } finally {
    stop.abort()
    const left = parts.return().catch(() => {})
    if (!isSilent) await left
  }
}

/** The time runs only while it is waited: a reader that takes long over what has come is not the sender's silence. */
async function within<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const late = Promise.withResolvers<undefined>()
  const silence = new Silence(milliseconds, () => late.resolve(undefined))
  work.catch(() => {})
  try {
    return await Promise.race([work, late.promise])
  } finally {
    silence.end()
  }
}

function silent({ ref }: LanguageModel, silenceMs: number): ModelFailure {
  const text = `The model ${ref} sent nothing for ${silenceMs / 1000} s.`
  return new ModelFailure(text, { reason: 'idle', retryable: true })
}
