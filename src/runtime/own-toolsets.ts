import type { Agent } from '../agent-file/agent-file.ts'
import { DecoratedToolset } from '../tools/tools.ts'
import { toolsetsOf } from './agent-toolsets.ts'
import { backgroundToolset } from './background-toolset.ts'
import type { Lineage } from './delegation.ts'
import { handoffRules, handoffToolset } from './handoff-toolset.ts'
import type { OwnToolset } from './run-toolbox.ts'
import type { Team } from './team.ts'
import { type Delegating, transferRules, transferToolset } from './transfer-toolset.ts'

/**
 * The tools that the runtime carries out itself, for an agent with these agents above it. `work` is asked for when one of
 * them is called.
 */
export function ownToolsets(team: Team, agent: Agent, above: Lineage, work: Delegating['work']): readonly OwnToolset[] {
  const agents = team.members(agent.sub_agents)
  const lineage = [...above, agent]
  const open = (target: Agent) => team.open(target, { lineage, budgets: work().shared.budgets })
  const delegating = { agents, lineage, work, open }
  const handoffs = team.members(agent.handoffs)
  const background = toolsetsOf(team.file, agent).filter(({ config }) => config.type === 'background_agents')
  return [
    ...(agents.length > 0 ? [{ toolset: transferToolset(delegating), rules: transferRules(agents) }] : []),
    ...(handoffs.length > 0
      ? [{ toolset: handoffToolset(handoffs, () => work().shared), rules: handoffRules(handoffs) }]
      : []),
    ...background.map(({ config }) => {
      const readonly = agent.readonly === true || config.readonly === true
      const toolset = backgroundToolset(delegating, config.recall === true)
      const decorated = new DecoratedToolset(toolset, { ...config, readonly })
      return { toolset: decorated, model: config.model, asking: config, rerun: config }
    }),
  ]
}
