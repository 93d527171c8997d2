import { createHash, randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { guard } from './guardian.ts'
import { endOrphans, type Owner, ownerVariable } from './orphans.ts'
import type { Variables } from './variables.ts'

const nonce = randomBytes(12).toString('hex')

/** Of the process and not of a toolset: no start of a process can then forget it, and no agent file can change it. */
let owner: Owner | undefined

/**
 * From now on the processes that this one starts for tools are those of the owner of this database, which must exist and be
 * ours. Resolves when those of its earlier owners are gone.
 */
export async function ownProcesses(database: string): Promise<void> {
  owner = { database: identityOf(database), nonce }
  await endOrphans(owner)
}

/** An environment with the mark of the owner, if there is one. The process that gets it does not outlive this one. */
export function owned(env: Variables): Record<string, string | undefined> {
  if (owner === undefined) return { ...env }
  guard(owner.nonce)
  return { ...env, [ownerVariable]: `${owner.database}.${owner.nonce}` }
}

/** The file, not its path: in another container the same path may be another file. */
function identityOf(path: string): string {
  const { dev, ino } = statSync(path)
  return createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 24)
}
