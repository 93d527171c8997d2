import { z } from 'zod'
import { optional, Text } from './fields.ts'

/** A slash command: text for the agent, another agent to switch to, or an address to open. */
export const Command = z.strictObject({
  description: optional(Text),
  instruction: optional(Text),
  agent: optional(Text),
  url: optional(Text),
})
export type Command = z.infer<typeof Command>

const CommandMap = z.record(
  z.string(),
  z.union([z.string().transform((instruction): Command => ({ instruction })), Command]),
)

/** Commands by name. Files write them as a map or, the older way, as a list of maps. */
export const Commands = z.union([
  CommandMap,
  z.array(CommandMap).transform((maps) => Object.fromEntries(maps.flatMap((map) => Object.entries(map)))),
])
export type Commands = z.infer<typeof Commands>
