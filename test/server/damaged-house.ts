import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { onTestFinished } from 'vitest'
import { type EndpointName, endpointNames, endpoints } from '../../src/protocol/protocol.ts'
import type { Runtime } from '../../src/runtime/runtime.ts'
import type { Damage } from '../../src/store/damage.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import { tempDir } from '../store/temp-dir.ts'
import { Bench } from './bench.ts'
import { answer, say } from './test-agents.ts'

/** All that the server stores as JSON, or as frames of JSON. */
export const columns = {
  sessions: 'record',
  fleet: 'fleet',
  items: 'body',
  runs: 'record',
  inputs: 'record',
  requests: 'record',
  events: 'text',
  fleet_events: 'text',
  idempotency_keys: 'record',
} as const

export type Kind = keyof typeof columns

/** A row of a database file, and the session that it is about, if any. */
export interface StoredText {
  readonly kind: Kind
  readonly num: number
  readonly session: string | undefined
  readonly text: string
}

/** Sessions by what they have come to, the last one below another. */
export interface Ids {
  readonly rested: string
  readonly other: string
  readonly running: string
  readonly asking: string
  readonly parent: string
  readonly child: string
}

/** The database of a server that was left with sessions in all states. */
export class DamagedHouse {
  readonly path: string
  readonly ids: Ids

  private constructor(path: string, ids: Ids) {
    this.path = path
    this.ids = ids
  }

  static async build(dir: string): Promise<DamagedHouse> {
    const path = join(dir, 'whole.db')
    await using bench = await Bench.open({ store: createSqliteStore({ path }) })
    teach(bench)
    const messages = [{ content: 'hello' }]
    const rested = await bench.ran()
    const body = { agent: 'echo', messages }
    await bench.client.call('startRun', { params: rested, body, headers: { 'idempotency-key': 'once' } })
    await bench.manager.waitStopped(rested.id, 60_000)
    await bench.manager.addSummary(rested.id, { summary: 'what was said', first_kept_entry: 1 })
    const other = await bench.ran()
    const running = await bench.running('gated')
    await bench.manager.followUpSession(running.id, messages)
    const asking = await bench.asking('asker')
    const parent = await bench.ran('boss')
    const [child] = await bench.manager.getChildren(parent.id)
    const ids = { rested: rested.id, other: other.id, running: running.id, asking: asking.id }
    return new DamagedHouse(path, { ...ids, parent: parent.id, child: child?.id ?? '' })
  }

  /** A copy of the database. */
  copy(): string {
    const copy = join(tempDir(), 'copy.db')
    copyFileSync(this.path, copy)
    return copy
  }
}

/** A server over a database, with what it tells of damage. */
export async function openDamaged(path: string): Promise<{ readonly bench: Bench; readonly told: unknown[] }> {
  const told: unknown[] = []
  const store = createSqliteStore({ path, onDamage: (damage: Damage) => told.push(damage) })
  const bench = await Bench.open({ store, manager: { onDefect: (error) => told.push(error) } })
  onTestFinished(() => bench[Symbol.asyncDispose]())
  teach(bench)
  return { bench, told }
}

/** An agent that hands a task over. */
function teach({ agents }: Bench): void {
  agents.scripts.boss = async function* ({ tasks }) {
    const worker: Runtime = {
      agent: 'worker',
      safetyPolicy: undefined,
      models: undefined,
      async *run() {
        yield answer('done')
        return 'normal'
      },
      close: async () => {},
    }
    const handed = { open: () => worker, task: 'work', title: 'work', callId: 'c', isBackground: false }
    const { id } = await tasks.begin(handed)
    await tasks.ended(id)
    yield say('well')
    yield answer('well done')
    return 'normal'
  }
}

/** Everything that is stored as text in a database that nobody has open. */
export function textsOf(path: string): readonly StoredText[] {
  const db = new Database(path)
  try {
    return Object.entries(columns).flatMap(([name, column]) => {
      const kind = name as Kind
      const table = kind === 'fleet' ? 'sessions' : kind
      const session = { sessions: 'id', fleet: 'id', fleet_events: 'NULL', idempotency_keys: 'NULL' }[name]
      const of = session ?? '(SELECT s.id FROM sessions s WHERE s.num = t.session)'
      const sql = `SELECT rowid AS num, ${of} AS session, ${column} AS text FROM ${table} t`
      const rows = db.prepare<[], { num: number; session: string | null; text: string }>(sql).all()
      return rows.map((row) => ({ kind, ...row, session: row.session ?? undefined }))
    })
  } finally {
    db.close()
  }
}

/** Writes other texts in place of what is stored. */
export function overwrite(path: string, rows: readonly Pick<StoredText, 'kind' | 'num' | 'text'>[]): void {
  const db = new Database(path)
  try {
    for (const { kind, num, text } of rows) {
      const table = kind === 'fleet' ? 'sessions' : kind
      db.prepare(`UPDATE ${table} SET ${columns[kind]} = ? WHERE rowid = ?`).run(text, num)
    }
  } finally {
    db.close()
  }
}

/** Every endpoint that only reads and is about one session. */
export const sessionReads: readonly EndpointName[] = endpointNames.filter((name) => {
  const { method, path } = endpoints[name]
  return method === 'GET' && path.startsWith('/api/sessions/:id')
})

export const otherReads: readonly EndpointName[] = endpointNames.filter((name) => {
  const { method, path } = endpoints[name]
  return method === 'GET' && !path.includes(':')
})
