import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { createToolset, type ToolEnvironment, type Toolset, type ToolsetDefinition } from '../../src/tools/tools.ts'

export interface World {
  /** A directory for whatever the test needs, beside the one that tools work in. */
  readonly root: string
  readonly environment: ToolEnvironment
}

/** Directories for one test, which go when it is over. */
export function world(variables: Readonly<Record<string, string>> = {}): World {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'quarterdeck-tools-')))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const environment = {
    workingDir: root,
    dataDir: join(root, 'data'),
    variables: { PATH: process.env.PATH, HOME: join(root, 'home'), ...variables },
  }
  return { root, environment }
}

/** A toolset that is started, and closed when the test is over. */
export async function started(definition: ToolsetDefinition, environment: ToolEnvironment): Promise<Toolset> {
  const toolset = createToolset(definition, environment)
  if (toolset === undefined) throw new Error(`${definition.type} is not supported`)
  onTestFinished(() => toolset.close())
  await toolset.start(new AbortController().signal)
  return toolset
}

/** Whether a process is there and not merely waiting to be collected. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  return !existsSync(stat) || !/^\d+ \(.*\) [ZX]/s.test(readFileSync(stat, 'utf8'))
}
