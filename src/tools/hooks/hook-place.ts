import { placeFor } from '../place.ts'
import type { ToolEnvironment } from '../tools.ts'
import { expandShellVariables, expandVariables, type Variables } from '../variables.ts'
import type { HookConfig } from './hook.ts'

export interface HookPlace {
  /** Absolute. */
  readonly cwd: string
  readonly env: Variables
}

/** Where a hook works and what it sees: `~` and variables in `working_dir`, only `${env.NAME}` in `env`. */
export function hookPlace({ working_dir, env = {} }: HookConfig, environment: ToolEnvironment): HookPlace {
  const { variables } = environment
  const own = Object.entries(env).map(([name, value]) => [name, expandVariables(value, variables)])
  const cwd = placeFor(expandShellVariables(working_dir ?? '', variables), environment)
  return { cwd, env: { ...variables, ...Object.fromEntries(own) } }
}
