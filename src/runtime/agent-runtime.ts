import type { Agent } from '../agent-file/agent-file.ts'
import { compactionRun } from './compaction-run.ts'
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
    patience: team.patience,
    get isLasting() {
      return team.isLasting
    },
    run: (context) => teamRun(team, agent, context, orders),
    compact: (context, request) => compactionRun(team, agent, context, request),
    command: (text) => commandSwitch(file, agent, text),
    close: team.use(),
  }
}
