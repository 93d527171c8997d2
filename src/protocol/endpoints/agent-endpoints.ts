import { z } from 'zod'
import { AgentFileView, AgentSummary, ToolCount } from '../agent.ts'
import { endpoint } from './endpoint.ts'

/** Agents. */
export const agentEndpoints = {
  listAgents: endpoint({
    method: 'GET',
    path: '/api/agents',
    summary: 'Lists the agent sources by name; one that cannot be read shows its error.',
    answers: { 200: z.array(AgentSummary) },
    refuses: ['agent_source_unavailable'],
  }),
  getAgent: endpoint({
    method: 'GET',
    path: '/api/agents/:id',
    summary: 'The parsed configuration of a source; literal secrets are masked.',
    answers: { 200: AgentFileView },
    refuses: ['unknown_agent', 'invalid_agent_file', 'agent_source_unavailable'],
  }),
  countTools: endpoint({
    method: 'GET',
    path: '/api/agents/:id/:agent_name/tools/count',
    summary: 'Counts the tools of an agent.',
    answers: { 200: ToolCount },
    refuses: ['unknown_agent', 'invalid_agent_file', 'agent_not_supported', 'agent_source_unavailable'],
  }),
} as const
