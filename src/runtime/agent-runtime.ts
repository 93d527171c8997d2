import type { Agent } from '../agent-file/agent-file.ts'
import { compact } from './compaction.ts'
import { compactionOf } from './compaction-model.ts'
import type { Orders } from './delegation.ts'
import { createModelSwitch } from './model-switch.ts'
import type { Runtime } from './runtime.ts'
import { commandSwitch } from './slash-command.ts'
import { Team, type TeamParts } from './team.ts'
import { teamRun } from './team-run.ts'

/** The agents of a file that use nothing that is not built. Toolsets are kept between runs. */
export function createTeam(parts: TeamParts): Team {
  return new Team(parts, memberRuntime)
}

function memberRuntime(team: Team, agent: Agent, orders: Orders | undefined): Runtime {
  const { file, models } = team
  return {
    agent: agent.Name,
    safetyPolicy: agent.safety ?? file.runtime?.safety,
    models: createModelSwitch(file, agent, models),
    get isLasting() {
      return team.isLasting
    },
    run: (context) => teamRun(team, agent, context, orders),
    compact: async function* (context, { prompt }) {
      const ref = context.modelOf(agent.Name)
      const chain = await team.modelsOf(agent).chain(ref)
      const compaction = await compactionOf({ file, models: team.opening(agent) }, agent, chain, ref)
      const { signal } = context
      yield* compact({ agent, context, compaction, signal }, prompt)
      return 'normal'
    },
    command: (text) => commandSwitch(file, agent, text),
    close: team.use(),
  }
}
