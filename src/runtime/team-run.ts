import type { Agent } from '../agent-file/agent-file.ts'
import type { StopReason } from '../protocol/protocol.ts'
import { spend } from './accounting.ts'
import type { AgentAtWork, SharedWork } from './agent-at-work.ts'
import { Budgets } from './budgets.ts'
import { compactionOf } from './compaction-model.ts'
import type { Orders } from './delegation.ts'
import { loop } from './loop.ts'
import { ownToolsets } from './own-toolsets.ts'
import { promptFiles } from './prompt-files.ts'
import { RunFailure } from './run-failure.ts'
import { beginningHooks } from './run-hooks.ts'
import { RunToolbox } from './run-toolbox.ts'
import type { RunContext, RuntimeEvent } from './runtime.ts'
import { Stopwatch } from './stopwatch.ts'
import type { Team } from './team.ts'
import { teamInfo } from './team-info.ts'
import { type Naming, withTitle } from './title.ts'

/** Agents that hand a conversation over to one another for so long get nowhere. */
const mostHandoffs = 50

/** An agent that is ready, but for the signal it works under. */
type Ready = Omit<AgentAtWork, 'signal'>

/** One run of a team, from the agent that it begins with to the one that it ends with. */
export async function* teamRun(
  team: Team,
  start: Agent,
  context: RunContext,
  orders?: Orders,
): AsyncGenerator<RuntimeEvent, StopReason, void> {
  try {
    const first = yield* beginWork(team, start, context, orders)
    const turns = (signal: AbortSignal) => relay(team, first, orders, signal)
    if (!context.untitled) return yield* turns(context.signal)
    const models = await first.models.titleModels(context.modelOf(start.Name))
    const count: Naming['count'] = (model, finish) => spend({ agent: start, shared: first.shared }, model, finish)
    return yield* withTitle(turns, { models, items: context.history, count }, context.signal)
  } catch (error) {
    if (context.signal.aborted) return 'canceled'
    throw error
  }
}

/** Agent after agent, as one hands the conversation over to the next. */
async function* relay(
  team: Team,
  first: Ready,
  orders: Orders | undefined,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent, StopReason, void> {
  const { context, shared } = first
  for (let ready = first; ; ) {
    const work = { ...ready, signal }
    const files = await promptFiles(work.agent, work.environment)
    const end = yield* loop(work, [...files, ...(yield* beginningHooks(work))])
    if (typeof end === 'string') return end
    shared.handoff = undefined
    if (++shared.handoffs > mostHandoffs) throw goingInCircles()
    const change = { from_agent: ready.agent.Name, to_agent: end.handoff.Name }
    yield { type: 'agent_switching', agent_name: change.from_agent, switching: true, ...change }
    ready = yield* beginWork(team, end.handoff, context, orders, shared)
    yield { type: 'agent_switching', agent_name: change.to_agent, switching: false, ...change }
  }
}

/** Gets an agent ready, and tells what every run tells before the first model call of an agent. */
async function* beginWork(
  team: Team,
  agent: Agent,
  context: RunContext,
  orders?: Orders,
  shared: SharedWork = newWork(team, context, orders),
): AsyncGenerator<RuntimeEvent, Ready, void> {
  const { file, environment } = team
  const agent_name = agent.Name
  const ref = context.modelOf(agent.Name)
  yield teamInfo(file, agent, ref, team.models)
  const budgets = shared.budgets.usage(agent)
  if (budgets.length > 0) yield { type: 'budget_usage', agent_name, budgets: [...budgets] }
  const toolbox = team.toolboxOf(agent)
  yield { type: 'mcp_init_started', agent_name }
  for (const { sentence, required, cause } of await toolbox.start(context.signal, context.headers)) {
    if (required) throw new RunFailure('tool_failed', sentence, { cause })
    yield { type: 'warning', agent_name, message: sentence }
  }
  const own = ownToolsets(team, agent, orders?.lineage ?? [], () => ({ context, shared }))
  await Promise.all(own.map(({ toolset }) => toolset.start(context.signal)))
  const tools = new RunToolbox(toolbox, own, agent, team.patience.toolMs)
  yield { type: 'mcp_init_finished', agent_name }
  yield { type: 'toolset_info', agent_name, available_tools: tools.tools.length, loading: false }
  const models = team.modelsOf(agent)
  const chain = await models.chain(ref)
  const compaction = await compactionOf({ file, models: team.opening(agent) }, agent, chain, ref)
  return { file, agent, models, chain, compaction, toolbox: tools, environment, shared, context }
}

export function newWork({ file }: Team, context: RunContext, orders?: Orders): SharedWork {
  const { resumed } = context
  const budgets = orders?.budgets ?? new Budgets(file, context, resumed?.budgets)
  return { budgets, stopwatch: new Stopwatch(), resumed, calls: resumed?.calls ?? 0, handoff: undefined, handoffs: 0 }
}

function goingInCircles(): RunFailure {
  const message = `The agents have handed the conversation over to one another ${mostHandoffs} times.`
  return new RunFailure('loop_detected', message, { reason: 'loop_detected' })
}
