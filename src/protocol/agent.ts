import { z } from 'zod'

/** One entry of `GET /api/agents`. `error` says why the file as it is now cannot be used. */
export const AgentSummary = z.object({
  name: z.string(),
  description: z.string(),
  multi: z.boolean(),
  commands: z.array(z.string()).optional(),
  error: z.string().optional(),
})
export type AgentSummary = z.infer<typeof AgentSummary>

/** The answer of `GET /api/agents/:id/:agent_name/tools/count`. */
export const ToolCount = z.object({ available_tools: z.number().int().nonnegative() })
export type ToolCount = z.infer<typeof ToolCount>

/** A toolset as clients see it: three keys are there also when the toolset has no use for them. */
export const ToolsetView = z.looseObject({
  remote: z.looseObject({ url: z.string() }),
  api_config: z.looseObject({}),
  webhook_config: z.looseObject({}),
})
export type ToolsetView = z.infer<typeof ToolsetView>

export const CommandView = z.object({
  description: z.string().optional(),
  instruction: z.string().optional(),
  agent: z.string().optional(),
  url: z.string().optional(),
})
export type CommandView = z.infer<typeof CommandView>

/** An agent of a file. Its name stands under `Name`, capitalised as the ancestor's clients know it. */
export const AgentView = z.looseObject({
  Name: z.string(),
  model: z.string().optional(),
  description: z.string().optional(),
  welcome_message: z.string().optional(),
  toolsets: z.array(ToolsetView).optional(),
  instruction: z.string().optional(),
  sub_agents: z.array(z.string()).optional(),
  handoffs: z.array(z.string()).optional(),
  commands: z.record(z.string(), CommandView).optional(),
})
export type AgentView = z.infer<typeof AgentView>

const ByName = z.record(z.string(), z.looseObject({})).optional()

/** The answer of `GET /api/agents/:id`: the checked file with everything secret masked. */
export const AgentFileView = z.looseObject({
  version: z.string().optional(),
  agents: z.array(AgentView),
  providers: ByName,
  models: ByName,
  mcps: z.record(z.string(), ToolsetView).optional(),
  rag: ByName,
  toolsets: z.record(z.string(), ToolsetView).optional(),
  metadata: z.looseObject({
    author: z.string().optional(),
    license: z.string().optional(),
    description: z.string().optional(),
    readme: z.string().optional(),
    version: z.string().optional(),
    tags: z.array(z.string()).optional(),
  }),
  permissions: z
    .object({
      allow: z.array(z.string()).optional(),
      ask: z.array(z.string()).optional(),
      deny: z.array(z.string()).optional(),
    })
    .optional(),
})
export type AgentFileView = z.infer<typeof AgentFileView>
