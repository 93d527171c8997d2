import { expect, it } from 'vitest'
import { agentNamed, parseAgentFile } from '../../src/agent-file/agent-file.ts'
import { createModels } from '../../src/models/models.ts'
import { compactionOf } from '../../src/runtime/compaction-model.ts'

const file = parseAgentFile(
  `
agents:
  own: {model: said, compaction_model: openai/agent, compaction_threshold: 0.5}
  silent: {model: said}
models:
  said: {provider: gateway, model: a, compaction_model: openai/model, compaction_threshold: 0.7}
  shared: {provider: gateway, model: b}
  any: {first_available: [said], compaction_threshold: 0.6}
  plain: {provider: openai, model: c}
providers:
  gateway: {base_url: "http://127.0.0.1:1/v1", compaction_model: openai/provider}
`,
  { origin: 'test.yaml' },
)
const models = createModels({ env: {} })

const scripted = (context_size: number | undefined) =>
  models.open({ provider: 'scripted', model: 'current', provider_opts: { ...(context_size && { context_size }) } })

it.each([
  ['own', 'said', 'openai/agent', 0.5],
  ['own', 'plain', 'openai/agent', 0.5],
  ['silent', 'said', 'openai/model', 0.7],
  ['silent', 'shared', 'openai/provider', 0.9],
  ['silent', 'gateway/inline', 'openai/provider', 0.9],
  ['silent', 'any', 'openai/model', 0.6],
  ['silent', 'said,plain', 'openai/model', 0.7],
  ['silent', 'plain', 'scripted/current', 0.9],
  ['silent', 'gone', 'scripted/current', 0.9],
])('compacts %s on the model %s with %s from %f on', async (name, ref, model, threshold) => {
  const agent = agentNamed(file, name)
  if (!agent) throw new Error('the file has no such agent')
  const current = await scripted(1000)
  const compaction = await compactionOf({ file, models }, agent, { current }, ref)
  expect(compaction.model.ref).toBe(model)
  expect(compaction.threshold).toBe(1000 * threshold)
})

it('counts the smaller of two windows, and none that nobody knows', async () => {
  const agent = { Name: 'a', compaction_model: 'small' }
  const small = { provider: 'scripted', model: 'small', provider_opts: { context_size: 100 } }
  const withSmall = { ...file, models: { small } }
  const at = async (window: number | undefined) =>
    (await compactionOf({ file: withSmall, models }, agent, { current: await scripted(window) }, 'gone')).threshold
  expect(await at(1000)).toBe(90)
  expect(await at(50)).toBe(45)
  const alone = { Name: 'a' }
  const unknown = { current: await scripted(undefined) }
  expect((await compactionOf({ file, models }, alone, unknown, 'gone')).threshold).toBeUndefined()
  const off = { Name: 'a', session_compaction: false }
  expect((await compactionOf({ file, models }, off, { current: await scripted(50) }, 'gone')).threshold).toBeUndefined()
})
