import { join } from 'node:path'
import Database from 'better-sqlite3'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { rowsOf } from '../../src/store/rows.ts'
import { prepareFile } from '../../src/store/sqlite-file.ts'
import type { Change } from '../../src/store/store.ts'
import { Writer } from '../../src/store/writer.ts'
import { input, item, key, putSession, run, session } from './records.ts'
import { tempDir } from './temp-dir.ts'

describe('a cleaner', () => {
  let path = ''
  let writer: Writer

  beforeEach(() => {
    path = join(tempDir(), 'test.db')
    prepareFile(path)
    writer = new Writer(path)
    onTestFinished(() => writer.close())
  })

  function write(session_id: string, ...changes: readonly Change[]): void {
    writer.commit([{ session_id, rows: rowsOf({ session_id, changes }) }])
  }

  function look(sql: string): unknown {
    const db = new Database(path, { readonly: true })
    try {
      return db.prepare(sql).pluck().get()
    } finally {
      db.close()
    }
  }

  it('looks through keys that are kept in small steps', () => {
    write('s', ...Array.from({ length: 1000 }, (_, n): Change => ({ kind: 'key.put', key: key('a', `${n}`) })))
    expect(steps(writer.cleaner.forgetKeys(0)).count).toBeGreaterThanOrEqual(4)
    expect(look('SELECT count(*) FROM idempotency_keys')).toBe(1000)
  })

  it('removes what many deleted sessions leave in fewer steps than there are sessions', () => {
    const ids = Array.from({ length: 300 }, (_, n) => `s${n}`)
    for (const id of ids) {
      const rest: Change[] = [
        { kind: 'item.put', item: item(id, 0) },
        { kind: 'run.put', run: run(id, 'r', { status: 'completed' }) },
        { kind: 'input.put', input: input(id, 'i', 'delivered') },
      ]
      write(id, putSession(session(id)), ...rest)
    }
    for (const id of ids.slice(1)) write(id, { kind: 'session.delete' })
    const { count, removed } = steps(writer.cleaner.sweep())
    expect(count).toBeLessThan(100)
    expect(removed).toBeGreaterThanOrEqual(3 * 299)
    const left = ['items', 'runs', 'inputs', 'dropped'].map((table) => look(`SELECT count(*) FROM ${table}`))
    expect(left).toEqual([1, 1, 1, 0])
  })

  it('gives back the space of deleted sessions that nobody ever ran', () => {
    const ids = Array.from({ length: 300 }, (_, n) => `s${n}`)
    for (const id of ids) write(id, putSession(session(id, { title: 'x'.repeat(1000) })))
    for (const id of ids) write(id, { kind: 'session.delete' })
    steps(writer.cleaner.sweep())
    expect(look('PRAGMA freelist_count')).toBe(0)
  })
})

/** Takes every step; answers how many there were, and what they removed. */
function steps(work: Generator<void, number>): { readonly count: number; readonly removed: number } {
  for (let count = 0; ; count += 1) {
    const step = work.next()
    if (step.done === true) return { count, removed: step.value }
  }
}
