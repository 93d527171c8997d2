import { relative, sep } from 'node:path'
import { type Bounds, boundsOf, checkedPath } from './file-access.ts'
import { placeFor } from './place.ts'
import type { ToolEnvironment } from './tools.ts'
import type { ToolsetDefinition } from './toolset-definition.ts'
import { expandShellVariables } from './variables.ts'

/** What the filesystem's tools have in common: where they work, and where they must not. */
export class Files {
  readonly environment: ToolEnvironment
  /** Whether what Git ignores is left out of lists and searches. */
  readonly ignoreVcs: boolean
  readonly postEdit: NonNullable<ToolsetDefinition['post_edit']>
  readonly #allow: readonly string[]
  readonly #deny: readonly string[]

  constructor(definition: ToolsetDefinition, environment: ToolEnvironment) {
    const place = (path: string) => placeFor(expandShellVariables(path, environment.variables), environment)
    this.environment = environment
    this.ignoreVcs = definition.ignore_vcs ?? true
    this.postEdit = definition.post_edit ?? []
    this.#allow = definition.allow_list?.map(place) ?? []
    this.#deny = definition.deny_list?.map(place) ?? []
  }

  get bounds(): Bounds {
    return boundsOf(this.#allow, this.#deny)
  }

  /** The real path that somebody means. Throws a `CallFailure` when it must not be used. */
  at(path: string): string {
    return checkedPath(placeFor(path, this.environment), this.bounds)
  }

  /** How a path is told: from the working directory on where it lies within. */
  nameOf(path: string): string {
    const name = relative(this.environment.workingDir, path)
    return name === '' ? '.' : name === '..' || name.startsWith(`..${sep}`) ? path : name
  }
}
