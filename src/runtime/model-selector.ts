import type { LanguageModel, ModelRequest, Models } from '../models/models.ts'
import type { ResolvedModel } from './model-resolution.ts'
import { messageWords, similarity } from './similarity.ts'

/** The models behind one reference: says which of them answers a turn. */
export interface ModelSelector {
  /** Who would answer next, as far as that can be told before the question. */
  readonly current: LanguageModel
  /** Who answers this request. Asked once for each turn. */
  select(request: ModelRequest): LanguageModel
}

/** Opens what a reference means. Refuses `invalid_model`; touches no network. */
export async function openSelector(resolved: ResolvedModel, models: Models): Promise<ModelSelector> {
  const { definition, rotation, routes } = resolved
  if (rotation.length > 0) return inTurn(await Promise.all(rotation.map((one) => openSelector(one, models))))
  const model = await models.open(definition)
  if (routes.length === 0) return alone(model)
  const opened = routes.map(async ({ model, examples }) => ({ to: await openSelector(model, models), examples }))
  return byExample(alone(model), await Promise.all(opened))
}

/** A reference that stands for one model. */
export function alone(model: LanguageModel): ModelSelector {
  return { current: model, select: () => model }
}

/**
 * Models that take turns. The first turn is told by the answers in the history, so that a conversation that is taken up
 * again goes on where it was; from then on each turn is the next one's, however much of the history is still sent.
 */
function inTurn(selectors: readonly ModelSelector[]): ModelSelector {
  let next: number | undefined
  const at = (place: number): ModelSelector => {
    const found = selectors[place % selectors.length]
    if (!found) throw new Error('nobody takes turns')
    return found
  }
  return {
    get current() {
      return at(next ?? 0).current
    },
    select(request) {
      const place = next ?? request.messages.filter(({ role }) => role === 'assistant').length
      // Only turns are taken in turn; a title costs nobody theirs.
      if (request.purpose === 'turn') next = place + 1
      return at(place).select(request)
    },
  }
}

interface OpenRoute {
  readonly to: ModelSelector
  readonly examples: readonly string[]
}

/** The model whose example is most like what was asked last; of equals the first; without one that is like it, the usual. */
function byExample(usual: ModelSelector, routes: readonly OpenRoute[]): ModelSelector {
  let last = usual
  return {
    get current() {
      return last.current
    },
    select(request) {
      const asked = messageWords(request.messages.findLast(({ role }) => role === 'user'))
      let best = 0
      last = usual
      for (const { to, examples } of routes) {
        const score = Math.max(0, ...examples.map((example) => similarity(example, asked)))
        if (score <= best) continue
        best = score
        last = to
      }
      return last.select(request)
    },
  }
}
