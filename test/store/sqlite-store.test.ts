import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { migrations } from '../../src/store/migrations.ts'
import { prepareFile } from '../../src/store/sqlite-file.ts'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import type { Change, Store } from '../../src/store/store.ts'
import { storeContract } from '../contracts/store.contract.ts'
import { patience } from '../patience.ts'
import {
  events,
  input,
  instant,
  item,
  key,
  putFleet,
  putSession,
  replay,
  request,
  run,
  session,
  shown,
  tell,
} from './records.ts'
import { makeTempDir, tempDir } from './temp-dir.ts'

async function openStore(path: string, ownerWaitMs?: number): Promise<Store> {
  const store = createSqliteStore({ path, ownerWaitMs })
  onTestFinished(() => store.close())
  await store.open()
  return store
}

const unavailable = { name: 'Refusal', code: 'store_unavailable', retryAfter: 1 }
const write = (store: Store, session_id: string, ...changes: Change[]) => store.write({ session_id, changes })

storeContract('SQLite store', async () => {
  const { path, remove } = makeTempDir()
  const store = createSqliteStore({ path: join(path, 'test.db') })
  await store.open()
  return { store, remove }
})

describe('reopening', () => {
  it('finds everything again, and goes on where it was (S3)', async () => {
    const path = join(tempDir(), 'deep', 'er', 'test.db')
    const first = await openStore(path)
    await write(first, 's', putSession(session('s')), { kind: 'item.put', item: item('s', 0) }, events(1, 5))
    await write(first, 's', { kind: 'run.put', run: run('s', 'r') }, { kind: 'key.put', key: key('a', 'k') })
    await write(
      first,
      's',
      { kind: 'input.put', input: input('s', 'i') },
      { kind: 'request.put', request: request('s', 'q') },
    )
    await first.close()
    expect(readdirSync(join(path, '..')).sort()).toEqual(['test.db', 'test.db.owner'])
    const second = await openStore(path)
    await write(second, 's', events(6))
    expect(second.session('s')).toEqual(session('s'))
    expect(second.items('s', { last: 1 })).toEqual([item('s', 0)])
    expect(second.unfinishedRuns()).toEqual([run('s', 'r')])
    expect(second.inputs('s')).toEqual([input('s', 'i')])
    expect(second.requests('s', 'open')).toEqual([request('s', 'q')])
    expect(second.key('a', 'k')).toEqual(key('a', 'k'))
    expect(replay(second, 's')).toBe('1-5;6-6;')
  })

  it('finds the events that were appended after the newest ones of all were removed', async () => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    for (const id of ['a', 'b']) await write(store, id, putSession(session(id)), events(1), events(2))
    await write(store, 'b', { kind: 'session.delete' })
    await store.close()
    const again = await openStore(path)
    await vi.waitFor(() => expect(countOf(path, 'events')).toBe(2), patience)
    await write(again, 'a', events(3))
    expect(replay(again, 'a')).toBe('1-1;2-2;3-3;')
    expect(again.bounds('a')).toEqual({ oldest: 1, head: 3 })
  })

  it('removes the events of a deleted session little by little, and gives their space back', async () => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    await write(store, 's', putSession(session('s')))
    for (let n = 1; n <= 300; n += 1) void write(store, 's', events(n, n, { text: 'x'.repeat(32 * 1024) }))
    await store.flush()
    await write(store, 's', { kind: 'session.delete' }, { kind: 'key.put', key: key('s', 'k') })
    expect(store.events('s', 0)).toBeUndefined()
    await vi.waitFor(() => expect([countOf(path, 'events'), countOf(path, 'dropped')]).toEqual([0, 0]), patience)
    await write(store, 's', putSession(session('s', { title: 'Again' })), events(1))
    expect(replay(store, 's')).toBe('1-1;')
    await vi.waitFor(() => expect(pagesOf(path)).toBeLessThan(100), patience)
    await store.close()
    expect(statSync(path).size).toBeLessThan(1024 * 1024)
  })
})

describe('a file of an older version', () => {
  it('shows the sessions that it has over all sessions, and where their logs end', async () => {
    const path = join(tempDir(), 'test.db')
    prepareFile(path, migrations.slice(0, 2))
    const db = new Database(path)
    const insert = db.prepare(
      'INSERT INTO sessions (id, created, title, folded_title, starred, agent, parent_id, record) VALUES (?, 0, ?, ?, ?, ?, ?, ?)',
    )
    const paused = { budget: 'session', limit: 'max_cost', used: 2, max: 1 }
    const old = [
      session('a', { agent: { source: 'coder', name: 'root' }, cost: 1.5, starred: true }),
      session('b', { parent_id: 'a', input_tokens: 7 }),
      session('c', { parent_id: 'b' }),
    ]
    for (const one of old) {
      const { id, title, starred, agent, parent_id } = one
      insert.run(
        id,
        title,
        title,
        Number(starred),
        agent?.source,
        parent_id,
        JSON.stringify(id === 'c' ? { ...one, paused } : one),
      )
    }
    db.exec(
      "INSERT INTO events (session, first, last, at, text) VALUES (1, 1, 3, 0, ''), (1, 4, 4, 0, ''), (2, 1, 2, 0, '')",
    )
    db.exec('INSERT INTO event_places VALUES (1, 1, 3, 0, 1), (1, 4, 4, 0, 2)')
    db.exec("UPDATE marks SET value = 2 WHERE name = 'placed'")
    db.close()
    const store = await openStore(path)
    expect(store.fleetSessions({ limit: 9, children: true }).entries).toEqual([
      shown('c', { parent_id: 'b', above: ['a', 'b'], status: 'paused' }),
      shown('b', { parent_id: 'a', above: ['a'], input_tokens: 7, last_event_seq: 2 }),
      shown('a', { agent: 'coder', cost: 1.5, starred: true, last_event_seq: 4 }),
    ])
    await write(store, 'a', { kind: 'session.delete' })
    expect(store.fleetBounds()).toEqual({ oldest: 1, head: 3 })
  })
})

describe('space', () => {
  const long = (n: number) => `${n}`.padEnd(2000, 'x')
  const settled = (n: number) => ({ ...request('s', long(n), 'answered'), settled_at: instant(n) })

  it.each([
    ['keys', (n: number): Change => ({ kind: 'key.put', key: key('a', long(n)) })],
    ['requests', (n: number): Change => ({ kind: 'request.put', request: settled(n) })],
  ])('of %s is given back in the pass that forgets them', async (_, change) => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    await write(store, 's', putSession(session('s')), ...Array.from({ length: 1000 }, (_, n) => change(n)))
    expect(pagesOf(path)).toBeGreaterThan(500)
    await store.forgetKeys(instant(9999))
    await store.forgetRecords(instant(9999))
    expect(pagesOf(path)).toBeLessThan(100)
  })

  it('stays the same while sessions come and go, and is given back', async () => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    const pages: number[] = []
    for (let round = 0; round < 12; round += 1) {
      const ids = Array.from({ length: 20 }, (_, n) => `${round}-${n}`)
      for (const id of ids) {
        const items = Array.from(
          { length: 30 },
          (_, n): Change => ({ kind: 'item.put', item: item(id, n, 'x'.repeat(999)) }),
        )
        const log = Array.from({ length: 30 }, (_, n) => events(n + 1, n + 1, { text: 'x'.repeat(999) }))
        const rest: Change[] = [
          { kind: 'run.put', run: run(id, 'r', { status: 'completed' }) },
          { kind: 'request.put', request: request(id, 'q', 'answered') },
          { kind: 'input.put', input: input(id, 'i', 'delivered') },
          { kind: 'key.put', key: key(id, 'k', instant(round)) },
        ]
        const told = [putFleet(shown(id)), tell('session_created', shown(id), instant(round))]
        void write(store, id, putSession(session(id)), ...items, ...log, ...rest, ...told)
      }
      for (const id of ids) void write(store, id, { kind: 'session.delete' })
      await store.flush()
      await store.retain({ before: instant(round), keep: 10 })
      await store.retainFleet({ before: instant(-1), keep: 10 })
      await store.forgetKeys(instant(round + 1))
      for (const table of [
        'dropped',
        'items',
        'runs',
        'requests',
        'inputs',
        'events',
        'event_places',
        'sessions',
        'idempotency_keys',
      ]) {
        await vi.waitFor(() => expect([table, countOf(path, table)]).toEqual([table, 0]), patience)
      }
      expect(countOf(path, 'fleet_events')).toBe(10)
      // What is asked last has its turn after what gives the pages back.
      await store.forgetKeys(instant(0))
      await store.retainFleet({ before: instant(-1), keep: 10 })
      pages.push(pagesOf(path))
    }
    expect(Math.max(...pages.slice(2))).toBeLessThanOrEqual((pages[1] ?? 0) + 2)
    await store.close()
    expect(statSync(path).size).toBeLessThan(300_000)
  })
})

describe('merging', () => {
  const ids = Array.from({ length: 30 }, (_, n) => `s${n}`)
  const told = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, n) => `${from + n}-${from + n};`).join('')

  async function create(store: Store): Promise<void> {
    await Promise.all(ids.map((id) => write(store, id, putSession(session(id)))))
  }

  it('makes few rows of many, and shows the same from everywhere, before, meanwhile and after (S1, S3)', async () => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    await create(store)
    const seen = (from: Store, head: number) => {
      expect(from.bounds('s7')).toEqual({ oldest: 1, head })
      expect(replay(from, 's7')).toBe(told(1, head))
    }
    for (let seq = 1; seq <= 400; seq += 1) {
      await Promise.all(ids.map((id) => write(store, id, events(seq))))
      if (seq % 5 === 0) seen(store, seq)
    }
    await vi.waitFor(() => expect(countOf(path, 'events')).toBeLessThan(4500), patience)
    seen(store, 400)
    await store.close()
    const again = await openStore(path)
    await vi.waitFor(() => expect(countOf(path, 'events')).toBeLessThan(200), patience)
    expect(countOf(path, 'event_places')).toBe(countOf(path, 'events'))
    seen(again, 400)
    for (let after = 0; after <= 400; after += 1) {
      const page = again.events('s7', after)
      expect(page?.text).toBe(page && told(page.first, page.last))
      expect(page === undefined || (page.first <= after + 1 && page.last > after)).toBe(
        after < 400 || page === undefined,
      )
    }
    await Promise.all(ids.map((id) => write(again, id, events(401))))
    seen(again, 401)
  })

  it('keeps what retention keeps: the newest events, and the newest segment (S6)', async () => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    await create(store)
    for (let seq = 1; seq <= 100; seq += 1) await Promise.all(ids.map((id) => write(store, id, events(seq))))
    const at = instant(2 * 60 * 60)
    for (let seq = 101; seq <= 200; seq += 1)
      await Promise.all(ids.map((id) => write(store, id, events(seq, seq, { at }))))
    await store.retain({ before: instant(1) })
    for (const id of ids) expect(replay(store, id).endsWith(told(101, 200))).toBe(true)
    await store.retain({ before: instant(9 * 60 * 60) })
    for (const id of ids) expect(store.bounds(id).head).toBe(200)
    await Promise.all(ids.map((id) => write(store, id, events(201))))
    for (const id of ids) expect(replay(store, id).endsWith(told(200, 201))).toBe(true)
  })

  it('leaves everything as it was when it fails', { timeout: 20_000 }, async () => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    await create(store)
    change(path, "CREATE TRIGGER broken BEFORE INSERT ON event_places BEGIN SELECT raise(ABORT, 'broken'); END")
    for (let seq = 1; seq <= 150; seq += 1) await Promise.all(ids.map((id) => write(store, id, events(seq))))
    expect(countOf(path, 'events')).toBe(4500)
    for (const id of ids) expect(replay(store, id)).toBe(told(1, 150))
    change(path, 'DROP TRIGGER broken')
    await Promise.all(ids.map((id) => write(store, id, events(151))))
    await vi.waitFor(() => expect(countOf(path, 'events')).toBeLessThan(100), patience)
    for (const id of ids) expect(replay(store, id)).toBe(told(1, 151))
  })
})

/** Changes a database as another program does. */
function change(path: string, sql: string): void {
  const db = new Database(path, { timeout: 5000 })
  try {
    db.exec(sql)
  } finally {
    db.close()
  }
}

/** Rows of a table, seen by another program. */
function countOf(path: string, table: string): number {
  return Number(look(path, (db) => db.prepare(`SELECT count(*) FROM ${table}`).pluck().get()))
}

function pagesOf(path: string): number {
  return Number(look(path, (db) => db.pragma('page_count', { simple: true })))
}

function look<T>(path: string, see: (db: Database.Database) => T): T {
  const db = new Database(path, { readonly: true })
  try {
    return see(db)
  } finally {
    db.close()
  }
}

interface StoreProcess {
  readonly child: ChildProcess
  /** The next line that it says. */
  line(): Promise<string>
  tell(command: string): Promise<string>
}

function storeProcess(path: string, fileLimitKiB?: number): StoreProcess {
  const script = join(import.meta.dirname, 'store-process.ts')
  const limit = fileLimitKiB === undefined ? '' : `ulimit -S -f ${fileLimitKiB}; `
  const shell = fileLimitKiB === undefined ? '/bin/sh' : 'bash'
  const child = spawn(shell, ['-c', `${limit}exec "$0" "$@"`, process.execPath, script, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async () => String((await lines.next()).value)
  const tell = (command: string) => {
    child.stdin.write(`${command}\n`)
    return line()
  }
  return { child, line, tell }
}

describe('the owner of a database', () => {
  it('keeps a second process waiting until it is killed, and its commits are there then (S3)', async () => {
    const path = join(tempDir(), 'test.db')
    const first = storeProcess(path)
    expect(await first.line()).toBe('open')
    expect(await first.tell('write a')).toBe('write done')
    const second = storeProcess(path)
    expect(await second.line()).toBe('waiting')
    first.child.kill('SIGKILL')
    expect(await second.line()).toBe('open')
    expect(await second.tell('write b')).toBe('write done')
    expect(await second.tell('close')).toBe('close done')
    const third = await openStore(path)
    expect(third.sessions({ limit: 9 }).entries.map(({ id }) => id)).toEqual(['b', 'a'])
  })

  it('is named in one sentence to those that wait too long', async () => {
    const path = join(tempDir(), 'test.db')
    const owner = storeProcess(path)
    expect(await owner.line()).toBe('open')
    const store = createSqliteStore({ path, ownerWaitMs: 0 })
    await expect(store.open()).rejects.toMatchObject({ name: 'StoreError', code: 'owned' })
    expect(store.health().connected).toBe(false)
    await store.close()
    expect(await owner.tell('write a')).toBe('write done')
  })

  it('is alone also among the stores of one process, under every name of the file', async () => {
    const directory = tempDir()
    mkdirSync(join(directory, 'real'))
    const store = await openStore(join(directory, 'real', 'test.db'))
    const second = createSqliteStore({ path: join(directory, 'real', '..', 'real', 'test.db'), ownerWaitMs: 0 })
    await expect(second.open()).rejects.toMatchObject({ code: 'owned' })
    await write(store, 's', putSession(session('s')))
    await store.close()
    const third = await openStore(join(directory, 'real', 'test.db'))
    expect(third.session('s')).toBeDefined()
  })

  it('can be given up waiting for by closing the store', async () => {
    const path = join(tempDir(), 'test.db')
    await openStore(path)
    const second = createSqliteStore({ path })
    const opening = second.open()
    await vi.waitFor(() => expect(second.health().error).toBe('another process owns the database'), patience)
    await Promise.all([expect(opening).rejects.toMatchObject({ code: 'owned' }), second.close()])
  })
})

describe('a store that cannot write', () => {
  const hasLimits = spawnSync('bash', ['-c', 'command -v prlimit && ulimit -S -f 1024']).status === 0

  it.skipIf(!hasLimits)(
    'refuses while the disk takes no more, and recovers (S5; skipped without bash and prlimit)',
    async () => {
      const path = join(tempDir(), 'test.db')
      const { child, line, tell } = storeProcess(path, 6 * 1024)
      expect(await line()).toBe('open')
      expect(await tell('write s')).toBe('write done')
      const answer = await tell('fill s')
      const [, committed] = /^store_unavailable after (\d+), connected false, head \1$/.exec(answer) ?? []
      expect(Number(committed)).toBeGreaterThan(0)
      spawnSync('prlimit', ['--fsize=unlimited:', '--pid', String(child.pid)])
      expect(await tell('recover')).toBe('recover done')
      expect(await tell('write t')).toBe('write done')
      expect(await tell('close')).toBe('close done')
      const store = await openStore(path)
      expect(store.session('t')).toBeDefined()
      expect(store.bounds('s').head).toBe(Number(committed))
    },
  )

  it('refuses while another program holds a lock, and recovers (S5)', { timeout: 20_000 }, async () => {
    const path = join(tempDir(), 'test.db')
    const store = await openStore(path)
    await write(store, 'a', putSession(session('a')))
    const other = new Database(path)
    onTestFinished(() => void other.close())
    other.exec('BEGIN IMMEDIATE')
    await expect(write(store, 'b', putSession(session('b')))).rejects.toMatchObject(unavailable)
    expect(store.health()).toEqual({ connected: false, error: 'another program keeps the database locked' })
    expect(store.session('a')).toBeDefined()
    other.exec('ROLLBACK')
    await vi.waitFor(() => expect(store.health()).toEqual({ connected: true, error: undefined }), patience)
    await write(store, 'b', putSession(session('b')))
    expect(store.session('b')).toBeDefined()
  })

  it('says that it has failed for good when the file is damaged, and rejects everything', async () => {
    const path = join(tempDir(), 'test.db')
    const first = await openStore(path)
    for (let n = 0; n < 200; n += 1) void write(first, `s${n}`, putSession(session(`s${n}`)))
    await first.close()
    damage(path)
    const store = await openStore(path)
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) => write(store, `s${n}`, putSession(session(`s${n}`)))),
    )
    const error = await store.failed
    expect(error).toMatchObject({ name: 'StoreError', code: 'corrupt' })
    expect(store.health()).toEqual({ connected: false, error: error.message })
    const rejected = { status: 'rejected', reason: expect.objectContaining(unavailable) }
    expect(results).toEqual(results.map(() => rejected))
    await expect(write(store, 'x', putSession(session('x')))).rejects.toMatchObject(unavailable)
    await expect(store.retain({ before: instant() })).rejects.toMatchObject(unavailable)
  })

  it('says that it has failed for good when a read finds damage', async () => {
    const path = join(tempDir(), 'test.db')
    const first = await openStore(path)
    for (let n = 0; n < 200; n += 1) void write(first, `s${n}`, putSession(session(`s${n}`)))
    await first.close()
    damage(path)
    const store = await openStore(path)
    expect(() => store.session('s7')).toThrow(expect.objectContaining(unavailable))
    expect(await store.failed).toMatchObject({ code: 'corrupt' })
  })

  it('refuses reads and writes before it is open', async () => {
    const store = createSqliteStore({ path: join(tempDir(), 'test.db') })
    expect(() => store.session('s')).toThrow(expect.objectContaining(unavailable))
    await expect(write(store, 's', putSession(session('s')))).rejects.toMatchObject(unavailable)
    expect(store.health()).toEqual({ connected: false, error: 'the store is not open' })
    await store.close()
    await expect(store.open()).rejects.toMatchObject({ code: 'cannot_open' })
  })
})

/** Overwrites the pages of the index of session ids. */
function damage(path: string): void {
  const root = look(path, (db) =>
    db.prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_autoindex_sessions_1'").pluck().all(),
  )
  const file = openSync(path, 'r+')
  for (const page of root) writeSync(file, Buffer.alloc(4096, 0xaa), 0, 4096, (Number(page) - 1) * 4096)
  expect(readFileSync(path).length).toBeGreaterThan(0)
}
