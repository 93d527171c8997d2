import { tmpdir } from 'node:os'
import { agentNamed, parseAgentFile } from '../../src/agent-file/agent-file.ts'
import { createModels } from '../../src/models/models.ts'
import { createTeam } from '../../src/runtime/agent-runtime.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'

/** The runtime of the default agent of a file, with nothing in the environment but what is given. */
export function runtimeOf(yaml: string, env: Record<string, string> = {}): Runtime {
  const file = parseAgentFile(yaml, { origin: 'test.yaml' })
  const agent = agentNamed(file)
  if (!agent) throw new Error('the file has no agent')
  const environment = { workingDir: process.cwd(), variables: env, dataDir: tmpdir() }
  return createTeam({ file, models: createModels({ env }), environment }).open(agent)
}

/** An agent on a scripted model. YAML reads JSON, so a script can be written as a value. */
export function scripted(script: readonly (readonly object[])[], agentKeys = ''): string {
  return `
agents:
  root:
    model: played
    description: A test agent
${agentKeys.replaceAll(/^/gm, '    ')}
models:
  played:
    provider: scripted
    model: test
    cost: {input: 1000000, output: 2000000}
    provider_opts:
      context_size: 4096
      script: ${JSON.stringify(script)}
`
}

/** An agent on a server that speaks chat completions. */
export function served(url: string, agentKeys = '', modelKeys = ''): string {
  return `
agents:
  root:
    model: remote
${agentKeys.replaceAll(/^/gm, '    ')}
models:
  remote:
    provider: openai
    model: gpt-test
    base_url: ${url}
    token_key: TEST_KEY
${modelKeys.replaceAll(/^/gm, '    ')}
`
}
