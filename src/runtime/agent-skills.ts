import type { Agent, AgentFile, Skills } from '../agent-file/agent-file.ts'
import type { ErrorDetail } from '../protocol/protocol.ts'

/** What a file says about skills, with where it stands there. */
export interface AgentSkills {
  readonly path: string
  readonly definition: Skills
}

/** All that an agent says about skills: itself, then in what it shares by name. */
export function skillsOf(file: AgentFile, agent: Agent): readonly AgentSkills[] {
  const own = agent.skills === undefined ? [] : [{ path: `agents.${agent.Name}.skills`, definition: agent.skills }]
  const shared = (agent.use_skills ?? []).flatMap((name): AgentSkills[] => {
    const definition = file.skills?.[name]
    return definition === undefined ? [] : [{ path: `skills.${name}`, definition }]
  })
  return [...own, ...shared]
}

type Restricted = Exclude<Extract<Skills, readonly unknown[]>[number], string>

/** Keys of a skill that is written out. Each is a limit of what the skill may do, or with whom, so none may be overlooked. */
const restrictions: Readonly<Partial<Record<keyof Restricted, string>>> = {
  context: 'Skills that run on their own (context: fork) are not supported yet.',
  model: 'Models of skills are not supported yet.',
  allowed_tools: 'Skills that restrict the tools (allowed_tools) are not supported yet.',
  toolsets: 'Toolsets of skills are not supported yet.',
}

/** What of it nobody heeds, one detail each. */
export function unsupportedInSkills({ path, definition }: AgentSkills): readonly ErrorDetail[] {
  if (typeof definition === 'boolean') return []
  return definition.flatMap((entry, index): ErrorDetail[] => {
    const at = `${path}[${index}]`
    if (typeof entry !== 'string') {
      const values = new Map<string, unknown>(Object.entries(entry))
      return Object.entries(restrictions).flatMap(([key, message]) =>
        values.get(key) === undefined ? [] : [{ path: `${at}.${key}`, message }],
      )
    }
    return /^https?:\/\//i.test(entry) ? [{ path: at, message: 'Skills from URLs are not supported yet.' }] : []
  })
}
