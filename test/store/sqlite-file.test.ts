import { copyFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it } from 'vitest'
import { type Migration, migrations } from '../../src/store/migrations.ts'
import { applicationId, checkFile, prepareFile } from '../../src/store/sqlite-file.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import { request, session } from './records.ts'
import { tempDir } from './temp-dir.ts'

const ancestors = '../shared/data/databases'

/** Everything in a file's directory: names and bytes. */
function surroundings(path: string): Record<string, string> {
  const names = readdirSync(dirname(path)).sort()
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(dirname(path), name)).toString('base64')]))
}

async function expectRefusal(path: string, code: string, message: RegExp): Promise<void> {
  const before = surroundings(path)
  const store = createSqliteStore({ path })
  await expect(store.open()).rejects.toMatchObject({
    name: 'StoreError',
    code,
    message: expect.stringMatching(message),
  })
  await store.close()
  expect(surroundings(path)).toEqual(before)
}

/** The header of a rollback journal of a database that had so many pages. */
function journal({ pages }: { readonly pages: number }): Buffer {
  const header = Buffer.alloc(512)
  header.write('d9d505f920a163d7', 'hex')
  header.writeUInt32BE(pages, 16)
  header.writeUInt32BE(512, 20)
  header.writeUInt32BE(4096, 24)
  return header
}

function schemaOf(path: string): unknown {
  const db = new Database(path, { readonly: true })
  try {
    const objects = db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all()
    const pragma = (name: string) => db.pragma(name, { simple: true })
    return { objects, pragmas: ['application_id', 'user_version', 'auto_vacuum', 'journal_mode'].map(pragma) }
  } finally {
    db.close()
  }
}

describe('checking a file', () => {
  it("refuses another program's database untouched", async () => {
    const path = join(tempDir(), 'other.db')
    const db = new Database(path)
    db.exec('CREATE TABLE t (a); PRAGMA application_id = 7')
    db.close()
    await expectRefusal(path, 'foreign_file', /belongs to another program/)
  })

  it('refuses a database of another program whose tables are still in its write-ahead log, untouched', async () => {
    const path = join(tempDir(), 'copy.db')
    const original = new Database(join(tempDir(), 'live.db'))
    original.pragma('journal_mode = WAL')
    original.exec('CREATE TABLE t (a)')
    copyFileSync(original.name, path)
    copyFileSync(`${original.name}-wal`, `${path}-wal`)
    original.close()
    await expectRefusal(path, 'foreign_file', /belongs to another program/)
  })

  it('refuses a file that is no database, untouched', async () => {
    const path = join(tempDir(), 'notes.txt')
    writeFileSync(path, 'Dear diary, '.repeat(1000))
    await expectRefusal(path, 'foreign_file', /is not a database/)
    writeFileSync(path, 'SQLite format 3\0')
    await expectRefusal(path, 'foreign_file', /is not a database/)
  })

  it('refuses a database of a newer version untouched, also when only its log knows the version', async () => {
    const path = join(tempDir(), 'newer.db')
    prepareFile(path)
    const db = new Database(path)
    db.pragma('user_version = 99')
    const copy = join(tempDir(), 'copy.db')
    copyFileSync(path, copy)
    copyFileSync(`${path}-wal`, `${copy}-wal`)
    db.close()
    await expectRefusal(path, 'newer_file', /schema 99/)
    expect(readFileSync(copy).readUInt32BE(60)).toBe(migrations.length)
    await expectRefusal(copy, 'newer_file', /schema 99/)
  })

  it('ignores what a write-ahead log holds of a transaction that was not committed', () => {
    const path = join(tempDir(), 'cut.db')
    prepareFile(path)
    const db = new Database(path)
    db.pragma('user_version = 99')
    const copy = join(tempDir(), 'copy.db')
    copyFileSync(path, copy)
    copyFileSync(`${path}-wal`, `${copy}-wal`)
    db.close()
    truncateSync(`${copy}-wal`, readFileSync(`${copy}-wal`).length - 1)
    expect(() => checkFile(copy)).not.toThrow()
  })

  it('takes a file whose making a power cut has interrupted, but nothing else for one', async () => {
    const path = join(tempDir(), 'torn.db')
    // The first page was on its way: SQLite will find the journal, which says that there was nothing before.
    writeFileSync(path, Buffer.alloc(1024))
    writeFileSync(`${path}-journal`, journal({ pages: 1 }))
    await expectRefusal(path, 'foreign_file', /is not a database/)
    writeFileSync(`${path}-journal`, Buffer.alloc(512))
    await expectRefusal(path, 'foreign_file', /is not a database/)
    writeFileSync(path, 'Dear diary, '.repeat(1000))
    writeFileSync(`${path}-journal`, journal({ pages: 0 }))
    await expectRefusal(path, 'foreign_file', /is not a database/)
    writeFileSync(path, Buffer.alloc(1024))
    const store = createSqliteStore({ path })
    await store.open()
    await store.close()
    expect(() => checkFile(path)).not.toThrow()
  })

  it('says which file cannot be opened', async () => {
    const directory = tempDir()
    const store = createSqliteStore({ path: directory })
    await expect(store.open()).rejects.toMatchObject({
      code: 'cannot_open',
      message: expect.stringContaining(directory),
    })
    await store.close()
    const memory = createSqliteStore({ path: ':memory:' })
    await expect(memory.open()).rejects.toMatchObject({ code: 'cannot_open' })
  })

  it.each(['events', 'marks'])('says of one whose %s are damaged that a backup is to be restored', async (table) => {
    const path = join(tempDir(), 'damaged.db')
    const made = createSqliteStore({ path })
    await made.open()
    await made.close()
    const db = new Database(path)
    const page = db.prepare('SELECT rootpage FROM sqlite_schema WHERE name = ?').pluck().get(table)
    db.close()
    const at = (Number(page) - 1) * 4096
    writeFileSync(path, readFileSync(path).fill(0xff, at, at + 4096))
    const store = createSqliteStore({ path })
    await expect(store.open()).rejects.toMatchObject({
      code: 'corrupt',
      message: `${path} is damaged (SQLITE_CORRUPT): restore a backup`,
    })
    await store.close()
  })

  const files = existsSync(ancestors) ? ['session.db', 'two-sessions.db'] : []
  describe.skipIf(files.length === 0)(`the ancestor's databases (skipped when ${ancestors} is missing)`, () => {
    it.each(files)('refuses %s untouched and says what it is', async (name) => {
      const path = join(tempDir(), name)
      for (const part of readdirSync(ancestors).filter((part) => part.startsWith(name))) {
        writeFileSync(join(dirname(path), part), readFileSync(join(ancestors, part)))
      }
      await expectRefusal(path, 'foreign_file', /session database of docker-agent.*--session-db/)
    })
  })
})

describe('migrations', () => {
  it('make a file of this program that can give space back', () => {
    const path = join(tempDir(), 'new.db')
    prepareFile(path)
    expect(schemaOf(path)).toMatchObject({ pragmas: [applicationId, migrations.length, 2, 'wal'] })
  })

  it('take an empty file and an empty database of any settings', () => {
    const empty = join(tempDir(), 'empty.db')
    writeFileSync(empty, '')
    const tableless = join(tempDir(), 'tableless.db')
    const db = new Database(tableless)
    db.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a); DROP TABLE t')
    db.close()
    for (const path of [empty, tableless]) {
      checkFile(path)
      prepareFile(path)
      expect(schemaOf(path)).toMatchObject({ pragmas: [applicationId, migrations.length, 2, 'wal'] })
    }
  })

  it('passes over records that cannot be read (S9)', () => {
    const path = join(tempDir(), 'old.db')
    prepareFile(path, migrations.slice(0, 2))
    const db = new Database(path)
    db.exec(`INSERT INTO sessions (id, created, title, folded_title, starred, record) VALUES ('s', 0, '', '', 0, '{"bro');
      INSERT INTO requests (session, id, state, record) VALUES (1, 'a', 'open', '{"bro'), (1, 'b', 'open', '{}');
      INSERT INTO inputs (session, id, state, record) VALUES (1, 'i', 'queued', '{"bro');`)
    db.close()
    prepareFile(path)
    expect(schemaOf(path)).toMatchObject({ pragmas: [applicationId, migrations.length, 2, 'wal'] })
  })

  it.each(migrations.map(({ name }, index) => [index + 1, name]))(
    'upgrade a file of version %i (%s) to the newest',
    (version) => {
      const old = join(tempDir(), 'old.db')
      const fresh = join(tempDir(), 'fresh.db')
      prepareFile(old, migrations.slice(0, version))
      prepareFile(old)
      prepareFile(fresh)
      expect(schemaOf(old)).toEqual(schemaOf(fresh))
    },
  )

  it('put the requests of older files into the inbox', async () => {
    const path = join(tempDir(), 'old.db')
    prepareFile(path, migrations.slice(0, 2))
    const db = new Database(path)
    const record = session('s')
    db.prepare(
      `INSERT INTO sessions (num, id, created, title, folded_title, starred, record) VALUES (1, 's', 0, '', '', 0, ?)`,
    ).run(JSON.stringify(record))
    const later = { ...request('s', 'b'), created_at: '2026-01-02T03:04:05.678Z' }
    const insert = db.prepare(`INSERT INTO requests (session, id, state, record) VALUES (1, ?, 'open', ?)`)
    for (const one of [later, request('s', 'c')]) insert.run(one.id, JSON.stringify(one))
    db.close()
    const store = createSqliteStore({ path })
    await store.open()
    const find = (more = {}) => store.findRequests({ state: 'open', limit: 9, ...more }).entries.map(({ id }) => id)
    expect(find()).toEqual(['c', 'b'])
    expect(find({ kind: 'elicitation', created_after: '2026-01-02T03:04:05.677Z' })).toEqual(['b'])
    expect(find({ created_after: later.created_at })).toEqual([])
    await store.close()
  })

  it('leave a file as it was when one fails, byte for byte', () => {
    const path = join(tempDir(), 'old.db')
    const one: Migration = { name: 'one', sql: 'CREATE TABLE one (a); INSERT INTO one VALUES (1)' }
    const two: Migration = { name: 'two', sql: 'CREATE TABLE two (a); UPDATE one SET a = 2' }
    const broken: Migration = { name: 'broken', sql: 'DROP TABLE one; INSERT INTO nowhere VALUES (1)' }
    prepareFile(path, [one])
    const before = surroundings(path)
    const failure = { code: 'migration_failed', message: expect.stringContaining('step 3') }
    expect(() => prepareFile(path, [one, two, broken])).toThrow(expect.objectContaining(failure))
    expect(surroundings(path)).toEqual(before)
    prepareFile(path, [one, two])
    expect(schemaOf(path)).toMatchObject({ objects: [{ name: 'one' }, { name: 'two' }] })
  })

  it('leave a new file empty when one fails', () => {
    const path = join(tempDir(), 'new.db')
    const broken: Migration = { name: 'broken', sql: 'CREATE TABLE a (b); INSERT INTO nowhere VALUES (1)' }
    expect(() => prepareFile(path, [broken])).toThrow(expect.objectContaining({ code: 'migration_failed' }))
    expect(readFileSync(path)).toHaveLength(0)
    expect(readdirSync(dirname(path))).toEqual(['new.db'])
  })
})
