import { z } from 'zod'
import { Agent, Skills, WrittenAgent } from './agent.ts'
import { Commands } from './command.ts'
import { Count, Duration, Flag, optional, Safety, Text, Texts } from './fields.ts'
import { ModelConfig, ProviderConfig } from './model-config.ts'
import { McpServer, RagSource, Toolset } from './toolset.ts'

const newest = 16

/** Patterns of tool calls that are let through, asked about, or refused. */
export const Permissions = z.strictObject({ allow: optional(Texts), ask: optional(Texts), deny: optional(Texts) })
export type Permissions = z.infer<typeof Permissions>

/** What may be spent: USD, tokens of input and output, working time. Zero or nothing means no limit. */
export const Budget = z.strictObject({
  max_cost: optional(z.number().nonnegative()),
  max_tokens: optional(Count),
  max_time: optional(Duration),
})
export type Budget = z.infer<typeof Budget>

const Version = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((version) => /^\d+$/.test(version) && Number(version) <= newest, {
    error: `expected a version from 0 to ${newest}`,
  })

const fileShape = {
  version: optional(Version),
  providers: optional(z.record(z.string(), ProviderConfig)),
  models: optional(z.record(z.string(), ModelConfig)),
  mcps: optional(z.record(z.string(), McpServer)),
  rag: optional(z.record(z.string(), RagSource)),
  commands: optional(z.record(z.string(), Commands)),
  skills: optional(z.record(z.string(), Skills)),
  toolsets: optional(z.record(z.string(), Toolset)),
  metadata: optional(
    z.strictObject({
      author: optional(Text),
      license: optional(Text),
      readme: optional(Text),
      description: optional(Text),
      version: optional(Text),
      tags: optional(Texts),
    }),
  ),
  permissions: optional(Permissions),
  runtime: optional(
    z.strictObject({ sandbox: optional(Flag), network_allowlist: optional(Texts), safety: optional(Safety) }),
  ),
  budget: optional(Budget),
  budgets: optional(z.record(z.string(), Budget)),
  flavors: optional(z.record(z.string(), z.record(z.string(), z.unknown()).nullable())),
}

/** A whole agent file after parsing: agents in the order of the file, older spellings brought up to date. */
export const AgentFile = z.strictObject({ agents: z.array(Agent).min(1), ...fileShape })
export type AgentFile = z.infer<typeof AgentFile>

/** The same as a file writes it: agents by name. */
export const WrittenFile = z.strictObject({
  agents: z
    .record(z.string().min(1, { error: 'an agent needs a name' }), WrittenAgent)
    .refine((agents) => Object.keys(agents).length > 0, { error: 'a file needs at least one agent' }),
  ...fileShape,
})
export type WrittenFile = z.infer<typeof WrittenFile>
