import { describe, expect, test } from 'vitest'
import { createModels, type LanguageModel, type ModelPart, type ModelRequest } from '../../src/models/models.ts'
import { watchedModel } from '../../src/models/watched-model.ts'
import { standStill } from '../stand-still.ts'

const request: ModelRequest = { purpose: 'turn', messages: [{ role: 'user', content: 'hello' }], tools: [] }

/** A model that says one word and then takes notice of nothing until the test lets it go. */
function deaf() {
  const gate = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const signals: AbortSignal[] = []
  const model: LanguageModel = {
    ref: 'test/deaf',
    provider: 'test',
    model: 'deaf',
    contextLimit: undefined,
    price: undefined,
    async *stream(_, signal) {
      signals.push(signal)
      try {
        yield { type: 'text', text: 'one' }
        await gate.promise
      } finally {
        left.resolve()
      }
    },
  }
  return { model, signals, gate, left: left.promise }
}

async function read(model: LanguageModel, parts: ModelPart[] = []): Promise<readonly ModelPart[]> {
  for await (const part of model.stream(request, new AbortController().signal)) parts.push(part)
  return parts
}

describe('a model that is watched', () => {
  test('fails as idle when it sends nothing for too long, without being waited for (A1, A2)', async () => {
    const { model, signals, gate, left } = deaf()
    const parts: ModelPart[] = []
    const failure = read(watchedModel(model, 5), parts)
    await expect(failure).rejects.toMatchObject({ code: 'model_error', reason: 'idle', retryable: true })
    expect(parts).toEqual([{ type: 'text', text: 'one' }])
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    gate.resolve()
    await left
  })

  test('is not blamed for what came while the process stood still', async () => {
    const model: LanguageModel = {
      ...deaf().model,
      async *stream() {
        await standStill(300)
        yield { type: 'text', text: 'in time' }
      },
    }
    expect(await read(watchedModel(model, 100))).toEqual([{ type: 'text', text: 'in time' }])
  })

  test('is left as it is when it may be silent for ever', () => {
    const { model } = deaf()
    expect(watchedModel(model, Number.POSITIVE_INFINITY)).toBe(model)
  })

  test('is every model that is opened, also one that plays a script', async () => {
    const script = [[{ delay: '1m' }, { text: 'late' }]]
    const models = createModels({ env: {}, idleTimeoutMs: 5 })
    const model = await models.open({ provider: 'scripted', model: 'slow', provider_opts: { script } })
    await expect(read(model)).rejects.toMatchObject({
      reason: 'idle',
      message: expect.stringContaining('sent nothing'),
    })
  })
})
