import { z } from 'zod'
import { builtInTool, readOnly } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { json } from './result.ts'
import type { Toolset } from './tools.ts'

const instruction = `## Asking the user

Ask with user_prompt when a decision or a fact is the user's to give. The answer says what they did: accept comes with
content, decline means they said no, cancel means they left the question open. Keep schemas flat and small.`

/** Asks a person. */
export function userPrompt(): Toolset {
  const tool = builtInTool({
    name: 'user_prompt',
    category: 'user_prompt',
    description: 'Asks the user a question and waits for the answer.',
    args: z.strictObject({
      message: z.string().min(1).describe('The question'),
      title: z.string().optional().describe('What stands above the question'),
      schema: z
        .record(z.string(), z.unknown())
        .optional()
        .describe('JSON schema of the answer: an object with flat fields, or a single value'),
    }),
    annotations: readOnly('Ask the user'),
    run: async ({ message, title, schema }, context) => {
      const { action, content } = await context.elicit({
        message,
        mode: 'form',
        ...(schema && { schema }),
        ...(title !== undefined && { meta: { title } }),
      })
      return json({ action, ...(content && { content }) })
    },
  })
  return new BuiltInToolset(() => ({ tools: [tool], instruction }))
}
