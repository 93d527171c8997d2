import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agentFileView, parseAgentFile, summarise } from '../../src/agent-file/agent-file.ts'
import { ScriptedTurn } from '../../src/models/models.ts'
import { AgentSummary } from '../../src/protocol/protocol.ts'

const repository = join(import.meta.dirname, '..', '..')
const agents = join(repository, '..', 'shared', 'data', 'agents')
const golden = join(import.meta.dirname, 'golden')
const missing = !existsSync(agents)
const note = missing ? ' (skipped: ../shared/data/agents is not there)' : ''

function parse(directory: string, name: string) {
  return parseAgentFile(readFileSync(join(directory, name), 'utf8'), { origin: name, baseDir: directory })
}

describe.skipIf(missing)(`agent files people have written${note}`, () => {
  const files = missing ? ['none'] : readdirSync(agents).filter((name) => name.endsWith('.yaml'))

  it.each(files)('loads %s', (name) => {
    const file = parse(agents, name)
    expect(AgentSummary.parse(summarise(name, file)).name).toBe(name)
  })

  it.each(readdirSync(golden).map((name) => name.replace('.json', '')))(
    'shows %s as it was written down by hand',
    (name) => {
      const view: unknown = JSON.parse(JSON.stringify(agentFileView(parse(agents, `${name}.yaml`))))
      expect(view).toStrictEqual(JSON.parse(readFileSync(join(golden, `${name}.json`), 'utf8')))
    },
  )
})

describe('examples', () => {
  const directory = join(repository, 'examples')

  it.each(readdirSync(directory).filter((name) => name.endsWith('.yaml')))(
    'loads %s, one agent or a team, with tools only where the name says so',
    (name) => {
      const file = parse(directory, name)
      expect(file.agents).toHaveLength(name === 'team.yaml' ? 2 : 1)
      expect(file.agents.some((agent) => agent.toolsets !== undefined)).toBe(name === 'tools.yaml')
      expect(summarise(name, file).description).not.toBe('')
    },
  )

  it.each(['demo', 'echo', 'slow', 'scripted', 'team', 'tools'])(
    'needs no key for %s, whose script can be played',
    (name) => {
      for (const model of Object.values(parse(directory, `${name}.yaml`).models ?? {})) {
        expect(model.provider).toBe('scripted')
        expect(z.array(ScriptedTurn).min(1).parse(model.provider_opts?.script)).not.toEqual([])
      }
    },
  )
})
