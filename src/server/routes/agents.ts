import type { SessionManager } from '../../session-manager/session-manager.ts'
import type { Handlers } from '../route.ts'

export const agentRoutes = (manager: SessionManager) =>
  ({
    listAgents: () => manager.listAgents(),
    getAgent: ({ params }) => manager.getAgent(params.id),
    countTools: async ({ params }) => ({
      available_tools: await manager.getAgentToolCount(params.id, params.agent_name),
    }),
  }) satisfies Partial<Handlers>
