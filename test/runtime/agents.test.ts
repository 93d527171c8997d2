import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createAgentSources } from '../../src/agent-file/agent-file.ts'
import { createModels } from '../../src/models/models.ts'
import { Refusal } from '../../src/protocol/protocol.ts'
import { createAgents } from '../../src/runtime/agents.ts'
import type { Agents } from '../../src/runtime/runtime.ts'
import { carryOut, session, text, user } from './run-context.ts'
import { scripted } from './test-agent.ts'

async function agentsIn(source: string): Promise<Agents> {
  const sources = await createAgentSources({ source, env: {} })
  onTestFinished(() => sources.close())
  return createAgents({ sources, models: createModels({ env: {} }) })
}

async function agents(files: Readonly<Record<string, string>>): Promise<Agents> {
  const dir = await mkdtemp(join(tmpdir(), 'agents-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  for (const [name, yaml] of Object.entries(files)) await writeFile(join(dir, `${name}.yaml`), yaml)
  return await agentsIn(dir)
}

async function refusalOf(promise: Promise<unknown>): Promise<Refusal> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (error instanceof Refusal) return error
  throw new Error('nothing was refused', { cause: error })
}

const plain = scripted([[{ text: 'hello' }]])

it('lists agents, shows one, and runs it', async () => {
  const served = await agents({ plain })
  expect(await served.list()).toEqual([{ name: 'plain', description: 'A test agent', multi: false }])
  expect(await served.view('plain')).toMatchObject({ agents: [{ Name: 'root', model: 'played' }] })
  const runtime = await served.open({ source: 'plain' })
  expect(runtime.agent).toBe('root')
  expect(text(await carryOut(runtime, session([user('hi')])))).toBe('hello')
  await served.close()
})

it('refuses a source and an agent that are not there', async () => {
  const served = await agents({ plain })
  expect(await refusalOf(served.open({ source: 'nobody' }))).toMatchObject({ code: 'unknown_agent' })
  expect(await refusalOf(served.open({ source: 'plain', name: 'nobody' }))).toMatchObject({ code: 'unknown_agent' })
  expect(await refusalOf(served.view('nobody'))).toMatchObject({ code: 'unknown_agent' })
})

it('counts the tools of an agent, and refuses to count those that are not built', async () => {
  const [shell, git] = ['shell', 'git'].map((type) => scripted([[]], `toolsets: [{type: ${type}}]`))
  const served = await agents({ plain, shell: shell ?? '', git: git ?? '' })
  expect(await served.toolCount({ source: 'plain' })).toBe(0)
  expect(await served.toolCount({ source: 'shell' })).toBe(1)
  expect(await refusalOf(served.toolCount({ source: 'git' }))).toMatchObject({ code: 'agent_not_supported' })
})

it('counts what there is when a toolset cannot be started, also one that a run requires', async () => {
  const gone = '{type: mcp, command: /nonexistent, lifecycle: {required: true}}'
  const served = await agents({ agent: scripted([[]], `toolsets: [${gone}, {type: think}]`) })
  expect(await served.toolCount({ source: 'agent' })).toBe(1)
})

it('names everything that an agent uses in vain, each once', async () => {
  const keys = 'toolsets: [{type: git}, {type: plan}]\nsub_agents: [other/one]\ncache: {enabled: true}'
  const auth = `{type: workload_identity_federation, workload_identity_federation: {federation_rule_id: a, organization_id: b, identity_token: {env: C}}}`
  const signed = scripted([[]], keys).replace('model: test', `model: test\n    auth: ${auth}`)
  const refusal = await refusalOf((await agents({ signed })).open({ source: 'signed' }))
  expect(refusal.code).toBe('agent_not_supported')
  expect(refusal.details?.map(({ path }) => path)).toEqual([
    'agents.root.toolsets[0]',
    'agents.root.toolsets[1]',
    'agents.root.sub_agents',
    'agents.root.cache',
    'models.played.auth',
  ])
  expect(refusal.message).toContain('Toolsets of type plan are not supported yet.')
})

const agentKeys = [
  'harness: {type: codex}',
  'structured_output: {name: x, mode: tool, schema: {type: object}}',
  'code_mode_tools: true',
  'cache: {path: x}',
]
const shared = `
  other: {model: played}
toolsets: {shared: {type: think}}
skills: {shared: [local]}
`

it('refuses an agent one of whose team uses what is not supported, and names both', async () => {
  const other = '\n  other: {model: played, toolsets: [{type: git}], sub_agents: [docker/writer]}'
  const agent = scripted([[]], 'handoffs: [other]').replace('\nmodels:', `${other}\nmodels:`)
  const refusal = await refusalOf((await agents({ agent })).open({ source: 'agent', name: 'root' }))
  expect(refusal.details).toEqual([
    { path: 'agents.other.toolsets[0]', message: 'Toolsets of type git are not supported yet.' },
    { path: 'agents.other.sub_agents', message: 'Agents from elsewhere (docker/writer) are not supported yet.' },
  ])
})

it.each(agentKeys)('refuses an agent with %s', async (keys) => {
  const agent = scripted([[]], keys).replace('\nmodels:', `${shared}models:`)
  const refusal = await refusalOf((await agents({ agent })).open({ source: 'agent', name: 'root' }))
  expect(refusal.code).toBe('agent_not_supported')
  expect(refusal.details).toEqual([
    { path: `agents.root.${keys.split(':')[0]}`, message: expect.stringContaining('not supported yet') },
  ])
})

it.each([
  ['{type: shell, working_dir: /srv}', 'working_dir', 'Toolsets of type shell do not heed working_dir.'],
  ['{type: shell, allow_list: [/srv]}', 'allow_list', 'Toolsets of type shell do not heed allow_list.'],
  [
    '{type: filesystem, blocked_domains: [a.b]}',
    'blocked_domains',
    'Toolsets of type filesystem do not heed blocked_domains.',
  ],
])('refuses an agent whose toolset %s would not heed a limit', async (toolset, key, message) => {
  const served = await agents({ agent: scripted([[]], `toolsets: [${toolset}]`) })
  const refusal = await refusalOf(served.open({ source: 'agent' }))
  expect(refusal).toMatchObject({ code: 'agent_not_supported' })
  expect(refusal.details).toEqual([{ path: `agents.root.toolsets[0].${key}`, message }])
})

const skill = '{name: s, description: d, instructions: i'

it.each([
  [`skills: [local, ${skill}, context: fork}]`, 'agents.root.skills[1].context'],
  [`skills: [${skill}, model: played}]`, 'agents.root.skills[0].model'],
  [`skills: [${skill}, allowed_tools: []}]`, 'agents.root.skills[0].allowed_tools'],
  [`skills: [${skill}, toolsets: [shared]}]`, 'agents.root.skills[0].toolsets'],
  ["skills: ['https://example.com/skills']", 'agents.root.skills[0]'],
  ['use_skills: [restricted]', 'skills.restricted[0].allowed_tools'],
])('refuses an agent with %s', async (keys, path) => {
  const sharedSkills = `skills: {restricted: [${skill}, allowed_tools: [read_file]}]}\n`
  const served = await agents({ agent: scripted([[]], keys) + sharedSkills })
  const refusal = await refusalOf(served.open({ source: 'agent' }))
  expect(refusal.code).toBe('agent_not_supported')
  expect(refusal.details).toEqual([{ path, message: expect.stringContaining('not supported yet') }])
})

it('gives an agent the skills that it shares with others', async () => {
  const shared = `skills: {common: [${skill}}]}\n`
  const served = await agents({ agent: scripted([[{ text: 'fine' }]], 'use_skills: [common]') + shared })
  expect(await served.toolCount({ source: 'agent' })).toBe(2)
})

it.each([
  ['a model that is chosen automatically', 'agents: {root: {model: auto}}'],
  ['no model at all', 'agents: {root: {instruction: hi}}'],
  [
    'the first model that is available',
    'agents: {root: {model: any}}\nmodels: {any: {first_available: [openai/a, anthropic/b]}}',
  ],
])('names the keys that would help an agent with %s', async (_, agent) => {
  const refusal = await refusalOf((await agents({ agent })).open({ source: 'agent' }))
  expect(refusal).toMatchObject({ code: 'invalid_model', message: expect.stringMatching(/OPENAI_API_KEY.*\./) })
  expect(refusal.message).toContain('ANTHROPIC_API_KEY')
})

it('refuses an agent whose fallback cannot be used', async () => {
  const keys = 'fallback: {models: [openai/gpt-4o, amazon-bedrock/nova]}'
  const files = { alone: scripted([[]], keys), more: scripted([[]], `${keys}\ncache: {path: x}`) }
  const served = await agents(files)
  expect(await refusalOf(served.open({ source: 'alone' }))).toMatchObject({ code: 'invalid_model' })
  expect((await refusalOf(served.open({ source: 'more' }))).details?.map(({ path }) => path)).toEqual([
    'agents.root.cache',
    'agents.root.fallback.models[1]',
  ])
})

it.each(['amazon-bedrock/nova', 'nobody/knows'])('refuses an agent on the model %s', async (model) => {
  const files = {
    alone: `agents: {root: {model: ${model}}}`,
    more: `agents: {root: {model: ${model}, cache: {path: x}}}`,
  }
  const served = await agents(files)
  expect(await refusalOf(served.open({ source: 'alone' }))).toMatchObject({ code: 'invalid_model' })
  expect(await refusalOf(served.open({ source: 'more' }))).toMatchObject({
    code: 'agent_not_supported',
    details: [{ path: 'agents.root.cache' }, { path: 'agents.root.model' }],
  })
})

it('opens an agent with keys that do no harm without tools', async () => {
  const keys = `welcome_message: hi
add_date: true
add_environment_info: true
redact_secrets: true
add_prompt_files: [nowhere-to-be-found.md]
readonly: true
safety: strict
max_iterations: 3
num_history_items: 10
session_compaction: false
compaction_threshold: 0.5
max_tool_result_tokens: 5
commands: {a: b}
structured_output: {name: x, schema: {type: object}}
cache: {enabled: false}
skills: false
toolsets: []
fallback: {models: [openai/gpt-4o]}`
  const harmless = `${scripted([[{ text: 'fine' }]], keys)}permissions: {deny: [shell]}\nmetadata: {author: me}`
  const runtime = await (await agents({ harmless })).open({ source: 'harmless' })
  expect(text(await carryOut(runtime, session([user('hi')])))).toBe('fine')
})

const examples = '../shared/data/agents'
const missing = existsSync(examples) ? '' : ` (skipped: ${examples} is not there)`

describe.skipIf(!existsSync(examples))(`the collected agent files${missing}`, () => {
  it('open, or say what they use in vain', async () => {
    const served = await agentsIn(examples)
    for (const file of readdirSync(examples)) {
      const source = basename(file, '.yaml')
      const said = await served.open({ source }).then(
        () => 'opened',
        (error: unknown) => (error instanceof Refusal ? error.code : error),
      )
      expect(['opened', 'agent_not_supported', 'invalid_model'], source).toContain(said)
    }
  })
})
