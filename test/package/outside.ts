import { execFileSync } from 'node:child_process'
import { delimiter, sep } from 'node:path'

/**
 * The environment as somebody has it who comes from outside: without what npm and vitest set for this process and
 * without this checkout's own programs, so that `node` is again the machine's.
 */
export function outside(): Readonly<Record<string, string>> {
  const variables: Record<string, string> = {}
  for (const [key, value] of Object.entries(process.env)) {
    if (value !== undefined && !/^(npm_|QUARTERDECK_|VITEST|NODE_ENV$|NODE_OPTIONS$|TEST$)/i.test(key))
      variables[key] = value
  }
  const folders = (variables.PATH ?? '').split(delimiter)
  variables.PATH = folders.filter((folder) => !folder.includes(`node_modules${sep}`)).join(delimiter)
  return variables
}

/** Runs npm in a folder, as somebody from outside would; says nothing unless it fails. */
export function npm(args: readonly string[], folder: string): void {
  execFileSync('npm', [...args, '--loglevel=error'], {
    cwd: folder,
    env: outside(),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}
