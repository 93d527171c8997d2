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
  const patience = new Patience(silenceMs)
  let isSilent = false
  try {
    for (;;) {
      const step = await patience.waitFor(parts.next())
      isSilent = step === undefined
      if (step === undefined) throw silent(model, silenceMs)
      if (step.done === true) return
      yield step.value
    }
  } finally {
    patience.end()
    stop.abort()
    const left = parts.return().catch(() => {})
    if (!isSilent) await left
  }
}

/** The time runs only while it is waited: a reader that takes long over what has come is not the sender's silence. */
class Patience {
  /** One for all that is waited for: parts come so often that a timer for each would cost a good part of them. */
  readonly #silence: Silence
  #giveUp = (): void => {}

  constructor(milliseconds: number) {
    this.#silence = new Silence(milliseconds, () => this.#giveUp())
  }

  /** What the work resolves or rejects with, or `undefined` when that takes too long. */
  waitFor<T>(work: Promise<T>): Promise<T | undefined> {
    this.#silence.hear()
    return new Promise((resolve, reject) => {
      this.#giveUp = () => resolve(undefined)
      work.then(resolve, reject)
    })
  }

  end(): void {
    this.#silence.end()
  }
}

function silent({ ref }: LanguageModel, silenceMs: number): ModelFailure {
  const text = `The model ${ref} sent nothing for ${silenceMs / 1000} s.`
  return new ModelFailure(text, { reason: 'idle', retryable: true })
}
