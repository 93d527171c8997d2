import { z } from 'zod'
import { builtInTool, readOnly } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { success } from './result.ts'
import type { Toolset } from './tools.ts'

const instruction = `## Think

Write your reasoning down with the think tool before you act: the rules that apply, what you know and what is missing,
whether the plan keeps to the rules, and whether earlier results are right. It changes nothing and learns nothing new.`

/** A place for thoughts: what is written there comes back. */
export function think(): Toolset {
  const tool = builtInTool({
    name: 'think',
    category: 'think',
    description: 'Keeps a thought in the conversation. Use it for reasoning in several steps; it changes nothing.',
    args: z.strictObject({ thought: z.string().describe('The thought') }),
    annotations: readOnly('Think'),
    run: ({ thought }) => success(`Thought: ${thought}`),
  })
  return new BuiltInToolset(() => ({ tools: [tool], instruction }))
}
