import { z } from 'zod'
import type { ToolCallResult } from '../protocol/protocol.ts'
import { builtInTool } from './built-in-tool.ts'
import { BuiltInToolset } from './built-in-toolset.ts'
import { type CommandEnd, runCommand } from './command.ts'
import { placeFor } from './place.ts'
import type { ToolEnvironment, Toolset } from './tools.ts'
import type { ToolsetDefinition } from './toolset-definition.ts'
import { withVariables } from './variables.ts'

const maxSeconds = 3600

const instruction = `## Shell

- Each command runs in a new shell: nothing of the directory, variables or aliases of an earlier one is left.
- Say the directory in cwd instead of changing it with cd.
- Commands get no input and no terminal, so use their options for running unattended.
- A command ends with everything that it started, also in the background. Give slow ones a longer timeout.`

const Arguments = z.strictObject({
  cmd: z.string().min(1).describe('The command line to run'),
  cwd: z.string().optional().describe('The directory to run it in; the working directory (".") when left out'),
  timeout: z.number().positive().max(maxSeconds).optional().describe('Seconds it may take; 30 when left out'),
})

/** Runs command lines. */
export function shell({ env }: ToolsetDefinition, environment: ToolEnvironment): Toolset {
  const variables = withVariables(environment.variables, env)
  const tool = builtInTool({
    name: 'shell',
    category: 'shell',
    description: 'Runs a command line in a shell and returns what it wrote to stdout and stderr.',
    args: Arguments,
    annotations: { title: 'Run a command' },
    run: async ({ cmd, cwd = '.', timeout = 30 }, { signal, output }) => {
      const directory = placeFor(cwd, environment)
      const command = { line: cmd, cwd: directory, env: variables, timeoutMs: timeout * 1000, signal, output }
      return commandResult(await runCommand(command), timeout)
    },
  })
  return new BuiltInToolset(() => ({ tools: [tool], instruction }))
}

/** What a model reads of a command that ended. */
export function commandResult({ output, exitCode, timedOut }: CommandEnd, seconds: number): ToolCallResult {
  const meta = { exit_code: exitCode ?? null, timed_out: timedOut }
  if (exitCode === 0 && !timedOut) return { output, meta }
  const ended = exitCode === undefined ? 'ended by a signal' : `exit code ${exitCode}`
  const note = timedOut ? `stopped because it took longer than ${seconds} s` : ended
  const gap = output === '' || output.endsWith('\n') ? '' : '\n'
  return { output: `${output}${gap}[${note}]`, isError: true, meta }
}
