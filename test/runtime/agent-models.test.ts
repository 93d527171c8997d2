import { expect, it } from 'vitest'
import { type AgentFile, agentNamed, parseAgentFile } from '../../src/agent-file/agent-file.ts'
import { createModels } from '../../src/models/models.ts'
import { AgentModels, openChain } from '../../src/runtime/agent-models.ts'

const models = createModels({ env: {} })

const played = (name: string, ...steps: readonly object[]) =>
  `{provider: scripted, model: ${name}, provider_opts: {script: [${JSON.stringify(steps)}]}}`

const failing = { error: { code: 'model_error' } }

function parsed(yaml: string): { readonly file: AgentFile; readonly models: AgentModels } {
  const file = parseAgentFile(yaml, { origin: 'test.yaml' })
  const agent = agentNamed(file)
  if (!agent) throw new Error('the file has no agent')
  return { file, models: new AgentModels(file, agent, models) }
}

const yaml = `
agents:
  root: {model: own, fallback: {models: [spare], retries: -1}}
models:
  own: ${played('own', failing)}
  other: ${played('other', failing)}
  spare: ${played('spare', { text: 'hi' })}
  named: {provider: scripted, model: named, title_model: spare}
`

async function answersOf(from: AgentModels, ref?: string): Promise<readonly string[]> {
  const chain = await from.chain(ref)
  const told: string[] = []
  const request = { purpose: 'turn', messages: [], tools: [] } as const
  for await (const part of chain.stream(request, new AbortController().signal)) {
    if (part.type === 'answering') told.push(part.model.model)
  }
  return told
}

it('opens another model for one turn, with the fallbacks of the agent behind it', async () => {
  const { models } = parsed(yaml)
  expect(await answersOf(models)).toEqual(['own', 'spare'])
  expect(await answersOf(models, 'other')).toEqual(['other', 'spare'])
})

it('remembers for each model that it failed', async () => {
  const { models } = parsed(yaml)
  await answersOf(models)
  expect(await answersOf(models)).toEqual(['spare'])
  expect(await answersOf(models, 'own')).toEqual(['spare'])
  expect(await answersOf(models, 'other')).toEqual(['other', 'spare'])
})

it('fails a run with what is wrong with a reference, and asks again the next time', async () => {
  const { models } = parsed(yaml)
  for (let time = 0; time < 2; time++) {
    await expect(models.chain('gone')).rejects.toMatchObject({ name: 'RunFailure', code: 'model_error' })
  }
})

it('refuses a chain with a fallback that nobody can use', async () => {
  const { file } = parsed('agents: {root: {model: ollama/x, fallback: {models: [amazon-bedrock/nova]}}}')
  const agent = agentNamed(file)
  if (!agent) throw new Error('the file has no agent')
  await expect(openChain(file, agent, 'ollama/x', models)).rejects.toMatchObject({ code: 'invalid_model' })
})

it.each([
  ['named', ['spare', 'spare']],
  ['own', ['own', 'spare']],
])('names conversations that %s answers by %j', async (ref, expected) => {
  expect((await parsed(yaml).models.titleModels(ref)).map(({ model }) => model)).toEqual(expected)
})

it('names them by whoever stands in while the model is left alone', async () => {
  const { models } = parsed(yaml)
  await answersOf(models)
  expect((await models.titleModels()).map(({ model }) => model)).toEqual(['spare', 'own'])
})
