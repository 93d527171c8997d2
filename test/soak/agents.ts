import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Script {
  readonly turns: readonly (readonly object[])[]
  readonly toolsets?: readonly object[]
}

/** What each agent plays: talk, tools that nobody is asked about, and tools that wait for a person. */
const scripts: Readonly<Record<string, Script>> = {
  talker: { turns: [[{ text: 'You said "{{last_user_message}}". '.repeat(12), chunk: 9, every: '4ms' }]] },
  thinker: {
    turns: [
      [
        { reasoning: 'Hm. '.repeat(20), every: '2ms' },
        { text: 'I have thought. '.repeat(10), every: '3ms' },
      ],
    ],
  },
  worker: {
    turns: [
      [{ text: 'I look. ' }, { tool_call: { name: 'shell', arguments: { cmd: 'pwd' } } }],
      [{ tool_call: { name: 'write_file', arguments: { path: 'said.txt', content: '{{last_user_message}}' } } }],
      [{ tool_call: { name: 'read_file', arguments: { path: 'said.txt' } } }],
      [{ text: 'It is done. '.repeat(8), every: '2ms' }],
    ],
    toolsets: [{ type: 'shell' }, { type: 'filesystem' }, { type: 'todo' }],
  },
  faulty: { turns: [[{ text: 'It goes well until ', every: '2ms' }, { error: { code: 'model_error' } }]] },
}

export const agents: readonly string[] = Object.keys(scripts)

/** Writes the agents into a new directory. JSON is YAML too. */
export function writeAgents(directory: string): void {
  mkdirSync(directory)
  for (const [name, { turns, toolsets = [] }] of Object.entries(scripts)) {
    const models = { plays: { provider: 'scripted', model: name, provider_opts: { script: turns } } }
    const root = { model: 'plays', description: name, instruction: 'Play.', safety: 'balanced', toolsets }
    writeFileSync(join(directory, `${name}.yaml`), JSON.stringify({ models, agents: { root } }))
  }
}
