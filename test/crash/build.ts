import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'

/** Builds the program once for all crash tests: what is killed is what is shipped. */
export function setup(): void {
  execFileSync('npm', ['run', 'build'], { cwd: resolve(import.meta.dirname, '../..'), stdio: 'inherit' })
}
