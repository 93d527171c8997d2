import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FleetEvent, type FleetSession, frame, parseFrames, type Request } from '../../src/protocol/protocol.ts'
import type { Change, FleetSessions, RequestFilter, Store } from '../../src/store/store.ts'
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
} from '../store/records.ts'

/** A store that is open, and what removes its traces once it is closed. */
export interface StoreUnderTest {
  readonly store: Store
  readonly remove: () => void
}

const unavailable = { name: 'Refusal', code: 'store_unavailable', retryAfter: 1 }

/** What every store promises. */
export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let store: Store
    let remove: () => void

    beforeEach(async () => {
      const opened = await open()
      store = opened.store
      remove = opened.remove
    })

    afterEach(async () => {
      await store.close()
      remove()
    })

    const write = (session_id: string, ...changes: Change[]) => store.write({ session_id, changes })
    const create = (id: string, more?: Parameters<typeof session>[1]) => write(id, putSession(session(id, more)))

    describe('reads and writes', () => {
      it('finds what was written once its promise has resolved (S1)', async () => {
        const agent = { source: 'coder', name: 'root' }
        await write(
          's',
          putSession(session('s', { agent, title: 'Ünïcode 🚢', permissions: { allow: ['read_*'] } })),
          { kind: 'item.put', item: item('s', 0) },
          { kind: 'run.put', run: run('s', 'r1') },
          { kind: 'input.put', input: input('s', 'i1') },
          { kind: 'request.put', request: request('s', 'q1') },
          { kind: 'key.put', key: key('post', 'k1') },
          events(1, 3),
        )
        expect(store.session('s')).toEqual(
          session('s', { agent, title: 'Ünïcode 🚢', permissions: { allow: ['read_*'] } }),
        )
        expect(store.items('s', { from: 0 })).toEqual([item('s', 0)])
        expect(store.run('s', 'r1')).toEqual(run('s', 'r1'))
        expect(store.inputs('s')).toEqual([input('s', 'i1')])
        expect(store.requests('s', 'all')).toEqual([request('s', 'q1')])
        expect(store.key('post', 'k1')).toEqual(key('post', 'k1'))
        expect(store.events('s', 0)).toEqual({ first: 1, last: 3, text: '1-3;' })
      })

      it('answers undefined or nothing for what is absent (S2)', async () => {
        expect(store.session('none')).toBeUndefined()
        expect(store.run('none', 'r')).toBeUndefined()
        expect(store.key('none', 'k')).toBeUndefined()
        expect(store.events('none', 0)).toBeUndefined()
        expect(store.items('none', { from: 0 })).toEqual([])
        expect(store.items('none', { last: 3 })).toEqual([])
        expect(store.inputs('none')).toEqual([])
        expect(store.requests('none', 'all')).toEqual([])
        expect(store.runs('none', { limit: 5 })).toEqual({ entries: [], next: undefined })
        expect(store.bounds('none')).toEqual({ oldest: 0, head: 0 })
      })

      it('replaces a record that is put again', async () => {
        await write('s', putSession(session('s')), { kind: 'item.put', item: item('s', 0) }, events(1))
        await write('s', putSession(session('s', { title: 'New' })), { kind: 'item.put', item: item('s', 0, 'edited') })
        expect(store.session('s')?.title).toBe('New')
        expect(store.items('s', { from: 0 })).toEqual([item('s', 0, 'edited')])
        expect(store.bounds('s')).toEqual({ oldest: 1, head: 1 })
      })

      it('removes a session with all that belongs to it, and keeps keys', async () => {
        await create('other')
        await write('s', putSession(session('s')), { kind: 'item.put', item: item('s', 0) }, events(1))
        await write('s', { kind: 'run.put', run: run('s', 'r') }, { kind: 'input.put', input: input('s', 'i') })
        await write('s', { kind: 'session.delete' }, { kind: 'key.put', key: key('s', 'k') })
        expect(store.session('s')).toBeUndefined()
        expect(store.items('s', { from: 0 })).toEqual([])
        expect(store.run('s', 'r')).toBeUndefined()
        expect(store.unfinishedRuns()).toEqual([])
        expect(store.inputs('s')).toEqual([])
        expect(store.bounds('s')).toEqual({ oldest: 0, head: 0 })
        expect(store.events('s', 0)).toBeUndefined()
        expect(store.key('s', 'k')).toEqual(key('s', 'k'))
        expect(store.session('other')).toBeDefined()
      })
    })

    describe('order and failure', () => {
      it('commits the groups of a session in the order they were given (S4)', async () => {
        const titles = Array.from({ length: 50 }, (_, n) => `Title ${n}`)
        const told: number[] = []
        await Promise.all(titles.map((title, n) => create('s', { title }).then(() => told.push(n))))
        expect(store.session('s')?.title).toBe('Title 49')
        expect(told).toEqual(titles.map((_, n) => n))
      })

      it('commits a group whole or not at all, and rejects it alone (S4)', async () => {
        const results = await Promise.allSettled([
          create('a'),
          write('b', { kind: 'key.put', key: key('b', 'k') }, { kind: 'item.put', item: item('b', 0) }),
          write('a', events(1)),
          create('c'),
        ])
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
        expect(store.key('b', 'k')).toBeUndefined()
        expect(store.bounds('a')).toEqual({ oldest: 1, head: 1 })
        expect(store.session('c')).toBeDefined()
      })

      it('rejects the later groups of a session that were handed over before the rejection was told (S5)', async () => {
        const results = await Promise.allSettled([write('b', events(1)), create('b'), create('a'), create('b')])
        const rejected = { status: 'rejected', reason: expect.objectContaining(unavailable) }
        expect(results).toEqual([rejected, rejected, { status: 'fulfilled', value: undefined }, rejected])
        expect(store.session('b')).toBeUndefined()
        await create('b')
        expect(store.session('b')).toBeDefined()
        expect(store.health()).toEqual({ connected: true, error: undefined })
      })

      it('resolves flush when everything handed over before is settled', async () => {
        let settled = 0
        for (let n = 0; n < 20; n += 1) void create(`s${n}`).then(() => (settled += 1))
        void write('none', events(1)).catch(() => (settled += 1))
        await store.flush()
        expect(settled).toBe(21)
      })

      it('tells pressure while too much is handed over, and when there is room again', async () => {
        await create('s')
        expect(store.pressure).toBeUndefined()
        const text = 'x'.repeat(64 * 1024)
        let last = 0
        while (store.pressure === undefined) void write('s', events(++last, last, { text }))
        expect(last).toBeGreaterThan(64)
        await store.pressure
        expect(store.pressure).toBeUndefined()
        await store.flush()
        expect(store.bounds('s').head).toBe(last)
      })
    })

    describe('lists', () => {
      it('lists sessions newest first, those of one instant by id, descending', async () => {
        await Promise.all([
          create('a', { created_at: instant(1) }),
          create('b', { created_at: instant(2) }),
          create('c', { created_at: instant(1) }),
          create('d', { created_at: '2026-01-01T01:00:03+01:00' }),
        ])
        expect(store.sessions({ limit: 10 }).entries.map(({ id }) => id)).toEqual(['d', 'b', 'c', 'a'])
      })

      it('pages through sessions and runs with a cursor until there is no next page', async () => {
        for (let n = 0; n < 7; n += 1) void create(`s${n}`, { created_at: instant(Math.floor(n / 2)) })
        for (let n = 0; n < 7; n += 1) {
          void write('s0', { kind: 'run.put', run: run('s0', `r${n}`, { started_at: instant(Math.floor(n / 3)) }) })
        }
        await store.flush()
        const sessions: string[] = []
        for (let cursor: string | undefined, page = 0; page === 0 || cursor !== undefined; page += 1) {
          const { entries, next } = store.sessions({ limit: 3, cursor })
          sessions.push(...entries.map(({ id }) => id))
          cursor = next
        }
        expect(sessions).toEqual(['s6', 's5', 's4', 's3', 's2', 's1', 's0'])
        const first = store.runs('s0', { limit: 4 })
        const second = store.runs('s0', { limit: 4, cursor: first.next })
        expect([...first.entries, ...second.entries].map(({ run_id }) => run_id)).toEqual([
          'r6',
          'r5',
          'r4',
          'r3',
          'r2',
          'r1',
          'r0',
        ])
        expect(second.next).toBeUndefined()
        expect(store.runs('s0', { limit: 7 }).next).toBeUndefined()
      })

      it('filters sessions by title, star, agent and time, and leaves out children', async () => {
        await Promise.all([
          create('plain', { title: '100% of a_b', created_at: instant(1) }),
          create('case', { title: 'ÄRGER with Case', created_at: instant(2) }),
          create('star', { starred: true, created_at: instant(3) }),
          create('agent', { agent: { source: 'coder', name: 'root' }, created_at: instant(4) }),
          create('child', { parent_id: 'plain', starred: true, title: 'ärger', created_at: instant(5) }),
        ])
        const ids = (filter: Omit<Parameters<Store['sessions']>[0], 'limit'>) =>
          store.sessions({ limit: 10, ...filter }).entries.map(({ id }) => id)
        expect(ids({ q: 'ärger' })).toEqual(['case'])
        expect(ids({ q: '%' })).toEqual(['plain'])
        expect(ids({ q: 'a_B' })).toEqual(['plain'])
        expect(ids({ q: 'axb' })).toEqual([])
        expect(ids({ starred: true })).toEqual(['star'])
        expect(ids({ starred: false })).toEqual(['agent', 'case', 'plain'])
        expect(ids({ agent: 'coder' })).toEqual(['agent'])
        expect(ids({ created_after: instant(1), created_before: instant(4) })).toEqual(['star', 'case'])
      })

      it('refuses a cursor or a time that it cannot read', () => {
        const refused = (path: string) =>
          expect.objectContaining({ code: 'invalid_request', details: [expect.objectContaining({ path })] })
        expect(() => store.sessions({ limit: 1, cursor: 'nonsense' })).toThrow(refused('query.cursor'))
        expect(() => store.runs('s', { limit: 1, cursor: 'W10' })).toThrow(refused('query.cursor'))
        expect(() => store.sessions({ limit: 1, created_after: 'soon' })).toThrow(refused('query.created_after'))
      })

      it('refuses a cursor of another list, and of that of another session', async () => {
        for (const id of ['a', 'b']) {
          await create(id, { agent: { source: 'coder', name: 'root' } })
          for (const n of [1, 2]) {
            await write(id, { kind: 'run.put', run: run(id, `${id}${n}`) })
            await write(id, { kind: 'input.put', input: input(id, `${id}${n}`) })
            await write(id, { kind: 'request.put', request: request(id, `${id}${n}`) })
          }
        }
        const lists: readonly ((cursor?: string) => { readonly next?: string | undefined })[] = [
          (cursor) => store.sessions({ limit: 1, cursor }),
          (cursor) => store.findRequests({ state: 'all', limit: 1, cursor }),
          ...['a', 'b'].flatMap((id) => [
            (cursor?: string) => store.runs(id, { limit: 1, cursor }),
            (cursor?: string) => store.allInputs(id, { limit: 1, cursor }),
            (cursor?: string) => store.findRequests({ state: 'all', limit: 1, cursor, session: id }),
          ]),
        ]
        const refused = expect.objectContaining({
          code: 'invalid_request',
          details: [{ path: 'query.cursor', message: 'is a cursor of another list' }],
        })
        for (const list of lists) {
          const { next = 'none' } = list()
          list(next)
          for (const other of lists) if (other !== list) expect(() => other(next)).toThrow(refused)
          expect(() => store.fleetSessions({ limit: 1, cursor: next })).toThrow(refused)
        }
      })

      it('lists the children of a session, oldest first, and none among the roots', async () => {
        await create('p')
        const later = { parent_id: 'p', created_at: instant(1) }
        await Promise.all([create('c', later), create('b', { parent_id: 'p' }), create('a', { parent_id: 'p' })])
        await create('d', { parent_id: 'c' })
        const ids = (id: string) => store.children(id).map((child) => child.id)
        expect(ids('p')).toEqual(['a', 'b', 'c'])
        expect(ids('c')).toEqual(['d'])
        expect(ids('d')).toEqual([])
        expect(store.sessions({ limit: 9 }).entries.map(({ id }) => id)).toEqual(['p'])
      })

      it('deletes all below a session with it, and nothing else (S7)', async () => {
        await create('p')
        await create('c', { parent_id: 'p' })
        await write(
          'd',
          putSession(session('d', { parent_id: 'c' })),
          { kind: 'item.put', item: item('d', 0) },
          events(1),
        )
        await create('other')
        await create('below', { parent_id: 'other' })
        await write('p', { kind: 'session.delete' })
        const left = ['p', 'c', 'd', 'other', 'below'].filter((id) => store.session(id) !== undefined)
        expect(left).toEqual(['other', 'below'])
        expect(store.items('d', { from: 0 })).toEqual([])
        expect(store.bounds('d')).toEqual({ oldest: 0, head: 0 })
      })

      it('finds titles by their beginning only', async () => {
        await Promise.all(
          ['Fork', 'Fork (2)', 'Forks', 'fork', 'A Fork', 'Fo%'].map((title, n) => create(`s${n}`, { title })),
        )
        expect(store.titles('Fork')).toEqual(['Fork', 'Fork (2)', 'Forks'])
        expect(store.titles('Fo%')).toEqual(['Fo%'])
        expect(store.titles('')).toHaveLength(6)
      })

      it('reads items from a position on, or the newest, in order', async () => {
        const items = Array.from({ length: 10 }, (_, n) => item('s', n))
        await write('s', putSession(session('s')), ...items.map((one): Change => ({ kind: 'item.put', item: one })))
        expect(store.items('s', { from: 0 })).toEqual(items)
        expect(store.items('s', { from: 8 })).toEqual(items.slice(8))
        expect(store.items('s', { from: 2, limit: 3 })).toEqual(items.slice(2, 5))
        expect(store.items('s', { last: 3 })).toEqual(items.slice(7))
        expect(store.items('s', { last: 0 })).toEqual([])
        expect(store.items('s', { last: 99 })).toEqual(items)
      })

      it('keeps every kind of item', async () => {
        const error = { ...item('s', 0), body: { kind: 'error' as const, error: { message: 'no', code: 'x' } } }
        const summary = {
          ...item('s', 1),
          body: { kind: 'summary' as const, summary: { summary: 'so far', cost: 0.1 } },
        }
        await write(
          's',
          putSession(session('s')),
          { kind: 'item.put', item: error },
          { kind: 'item.put', item: summary },
        )
        expect(store.items('s', { from: 0 })).toEqual([error, summary])
      })

      it('finds the runs that are stored as running', async () => {
        await Promise.all([create('a'), create('b')])
        await write('a', { kind: 'run.put', run: run('a', 'r1') }, { kind: 'run.put', run: run('a', 'r2') })
        await write('b', { kind: 'run.put', run: run('b', 'r1') })
        await write('a', { kind: 'run.put', run: run('a', 'r1', { status: 'completed', reason: 'normal' }) })
        const found = store.unfinishedRuns().map(({ session_id, run_id }) => `${session_id}/${run_id}`)
        expect(found.sort()).toEqual(['a/r2', 'b/r1'])
        expect(store.run('a', 'r1')?.status).toBe('completed')
      })

      it('finds an input whatever became of it, and lists all of them in pages, newest first', async () => {
        await create('s')
        for (const id of ['z', 'a', 'm']) await write('s', { kind: 'input.put', input: input('s', id) })
        await write('s', { kind: 'input.put', input: input('s', 'a', 'delivered') })
        await write('s', { kind: 'input.put', input: input('s', 'z', 'held') })
        expect(store.inputs('s').map(({ id }) => id)).toEqual(['z', 'm'])
        expect(store.waitingSessions()).toEqual([])
        await write('s', { kind: 'input.put', input: { ...input('s', 'f', 'held'), kind: 'followup' } })
        expect(store.waitingSessions()).toEqual([])
        await write('s', { kind: 'input.put', input: { ...input('s', 'f'), kind: 'followup' } })
        expect(store.waitingSessions()).toEqual(['s'])
        await write('s', { kind: 'input.put', input: { ...input('s', 'f', 'cancelled'), kind: 'followup' } })
        expect(store.waitingSessions()).toEqual([])
        expect(store.input('s', 'a')).toEqual(input('s', 'a', 'delivered'))
        expect([store.input('s', 'none'), store.input('none', 'a')]).toEqual([undefined, undefined])
        const first = store.allInputs('s', { limit: 2 })
        expect(first.entries.map(({ id, state }) => [id, state])).toEqual([
          ['f', 'cancelled'],
          ['m', 'queued'],
        ])
        const second = store.allInputs('s', { limit: 2, cursor: first.next })
        expect(second).toEqual({
          entries: [input('s', 'a', 'delivered'), input('s', 'z', 'held')],
          next: undefined,
        })
        expect(store.allInputs('none', { limit: 2 })).toEqual({ entries: [], next: undefined })
      })

      it('lists inputs that are still queued and requests that are open, oldest first', async () => {
        await create('s')
        for (const id of ['z', 'a', 'm']) {
          void write(
            's',
            { kind: 'input.put', input: input('s', id) },
            { kind: 'request.put', request: request('s', id) },
          )
        }
        await write(
          's',
          { kind: 'input.put', input: input('s', 'a', 'delivered') },
          { kind: 'request.put', request: request('s', 'z', 'answered') },
        )
        expect(store.inputs('s').map(({ id }) => id)).toEqual(['z', 'm'])
        expect(store.requests('s', 'open').map(({ id }) => id)).toEqual(['a', 'm'])
        expect(store.requests('s', 'all').map(({ id, state }) => `${id} ${state}`)).toEqual([
          'z answered',
          'a open',
          'm open',
        ])
      })
    })

    describe('requests of all sessions', () => {
      const asked = (id: string, session_id: string, seconds: number, more: Partial<Request> = {}): Change => ({
        kind: 'request.put',
        request: { ...request(session_id, id), created_at: instant(seconds), ...more },
      })
      const limit: Request['content'] = { kind: 'continuation', max_iterations: 3 }
      const ids = (filter: Partial<RequestFilter> = {}) =>
        store.findRequests({ state: 'open', limit: 9, ...filter }).entries.map(({ id }) => id)

      beforeEach(async () => {
        await create('p', { agent: { source: 'coder', name: 'root' } })
        await create('c', { parent_id: 'p' })
        await create('d', { parent_id: 'c' })
        await create('other')
        await write('p', asked('b', 'p', 2), asked('a', 'p', 2, { state: 'answered' }))
        await write('c', asked('z', 'c', 1, { content: limit }))
        await write('d', asked('y', 'd', 3))
        await write('other', asked('x', 'other', 0), asked('w', 'other', 4, { state: 'withdrawn' }))
      })

      it('are listed oldest first, and by id where they are of one instant', () => {
        expect(ids()).toEqual(['x', 'z', 'b', 'y'])
        expect(ids({ state: 'settled' })).toEqual(['a', 'w'])
        expect(ids({ state: 'all' })).toEqual(['x', 'z', 'a', 'b', 'y', 'w'])
        expect(store.findRequests({ state: 'open', limit: 9 }).next).toBeUndefined()
      })

      it('are filtered by every condition at once', () => {
        expect(ids({ session: 'p' })).toEqual(['z', 'b', 'y'])
        expect(ids({ session: 'c', state: 'all' })).toEqual(['z', 'y'])
        expect(ids({ session: 'none' })).toEqual([])
        expect(ids({ kind: 'continuation' })).toEqual(['z'])
        expect(ids({ kind: 'approval' })).toEqual([])
        expect(ids({ agent: 'coder' })).toEqual(['b'])
        expect(ids({ created_after: instant(0), created_before: instant(3) })).toEqual(['z', 'b'])
        expect(ids({ session: 'p', created_after: instant(1), kind: 'elicitation' })).toEqual(['b', 'y'])
      })

      it('come in pages, and in none twice', () => {
        const pages: string[][] = []
        for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
          const page = store.findRequests({ state: 'all', limit: 2, cursor })
          pages.push(page.entries.map(({ id }) => id))
          cursor = page.next
        }
        expect(pages).toEqual([
          ['x', 'z'],
          ['a', 'b'],
          ['y', 'w'],
        ])
        expect(() => store.findRequests({ state: 'all', limit: 1, cursor: 'nonsense' })).toThrow(
          expect.objectContaining({ code: 'invalid_request' }),
        )
      })

      it('are found by their id in a session and in all above it', async () => {
        for (const id of ['d', 'c', 'p']) expect(store.request(id, 'y')?.session_id).toBe('d')
        expect(store.request('d', 'b')).toBeUndefined()
        expect(store.request('other', 'b')).toBeUndefined()
        expect(store.request('none', 'b')).toBeUndefined()
        await write('d', asked('y', 'd', 3, { state: 'expired' }))
        expect(store.request('p', 'y')?.state).toBe('expired')
        expect(ids()).toEqual(['x', 'z', 'b'])
      })

      it('go with their session (S7)', async () => {
        await write('c', { kind: 'session.delete' })
        expect(ids({ state: 'all' })).toEqual(['x', 'a', 'b', 'w'])
        expect(store.request('p', 'y')).toBeUndefined()
      })
    })

    describe('events', () => {
      it('knows the bounds of each log', async () => {
        await Promise.all([create('a'), create('b')])
        await write('a', events(1, 4), events(5))
        await write('b', events(1))
        await write('a', events(6, 9))
        expect(store.bounds('a')).toEqual({ oldest: 1, head: 9 })
        expect(store.bounds('b')).toEqual({ oldest: 1, head: 1 })
      })

      it('gives whole segments from the one that holds the successor of the cursor', async () => {
        await write('s', putSession(session('s')), events(1, 4), events(5, 5), events(6, 9))
        expect(store.events('s', 0)).toEqual({ first: 1, last: 9, text: '1-4;5-5;6-9;' })
        expect(store.events('s', 3)).toEqual({ first: 1, last: 9, text: '1-4;5-5;6-9;' })
        expect(store.events('s', 4)).toEqual({ first: 5, last: 9, text: '5-5;6-9;' })
        expect(store.events('s', 7)).toEqual({ first: 6, last: 9, text: '6-9;' })
        expect(store.events('s', 9)).toBeUndefined()
        expect(store.events('s', 99)).toBeUndefined()
      })

      it('joins at most 256 KiB, or one segment', async () => {
        const large = 'x'.repeat(200 * 1024)
        const huge = 'y'.repeat(2 * 1024 * 1024)
        await write(
          's',
          putSession(session('s')),
          events(1, 1, { text: large }),
          events(2, 2),
          events(3, 3, { text: large }),
        )
        await write('s', events(4, 4, { text: huge }), events(5, 5, { text: 'é'.repeat(130 * 1024) }), events(6))
        expect(store.events('s', 0)).toEqual({ first: 1, last: 2, text: `${large}2-2;` })
        expect(store.events('s', 2)).toEqual({ first: 3, last: 3, text: large })
        expect(store.events('s', 3)?.text).toHaveLength(huge.length)
        expect(store.events('s', 4)?.last).toBe(5)
      })

      it('replays a long log in pages without a hole', async () => {
        await create('s')
        let head = 0
        let whole = ''
        for (let n = 0; n < 6000; n += 1) {
          const [first, last] = [head + 1, head + 1 + (n % 3)]
          void write('s', events(first, last))
          whole += `${first}-${last};`
          head = last
          if (store.pressure !== undefined) await store.pressure
        }
        await store.flush()
        expect(replay(store, 's')).toBe(whole)
        // A store may have joined what was written apart, so the segment that holds the last event may be longer.
        const end = replay(store, 's', head - 1)
        expect([end.endsWith(`-${head};`), whole.endsWith(end)]).toEqual([true, true])
        expect(store.bounds('s')).toEqual({ oldest: 1, head })
      })
    })

    describe('retention', () => {
      it('removes old events but never the newest segment of a session (S6)', async () => {
        await Promise.all([create('a'), create('b')])
        await write(
          'a',
          events(1, 2, { at: instant(1) }),
          events(3, 4, { at: instant(2) }),
          events(5, 6, { at: instant(3) }),
        )
        await write('b', events(1, 2, { at: instant(1) }))
        expect(await store.retain({ before: instant(2) })).toBe(1)
        expect(store.bounds('a')).toEqual({ oldest: 3, head: 6 })
        expect(store.events('a', 0)).toEqual({ first: 3, last: 6, text: '3-4;5-6;' })
        expect(await store.retain({ before: instant(99) })).toBe(1)
        expect(store.bounds('a')).toEqual({ oldest: 5, head: 6 })
        expect(store.bounds('b')).toEqual({ oldest: 1, head: 2 })
        await write('b', events(3))
        expect(replay(store, 'b')).toBe('1-2;3-3;')
      })

      it('keeps at least as many of the newest events as it is told', async () => {
        await write(
          's',
          putSession(session('s')),
          ...Array.from({ length: 10 }, (_, n) => events(2 * n + 1, 2 * n + 2)),
        )
        expect(await store.retain({ before: instant(-1), keep: 5 })).toBe(7)
        expect(store.bounds('s')).toEqual({ oldest: 15, head: 20 })
        expect(await store.retain({ before: instant(-1), keep: 5 })).toBe(0)
        expect(await store.retain({ before: instant(-1), keep: 0 })).toBe(2)
        expect(store.bounds('s')).toEqual({ oldest: 19, head: 20 })
      })

      it('keeps all events of a run that goes on until it has ended (S6)', async () => {
        const going = run('s', 'r', { first_seq: 4 })
        await write(
          's',
          putSession(session('s')),
          { kind: 'run.put', run: run('s', 'before', { first_seq: 1, status: 'completed' }) },
          { kind: 'run.put', run: going },
          ...[1, 3, 5, 7, 9].map((seq) => events(seq, seq + 1)),
        )
        expect(await store.retain({ before: instant(99), keep: 1 })).toBe(1)
        expect(store.bounds('s')).toEqual({ oldest: 3, head: 10 })
        await write('s', { kind: 'run.put', run: { ...going, status: 'completed' } })
        expect(await store.retain({ before: instant(99), keep: 1 })).toBe(3)
        expect(store.bounds('s')).toEqual({ oldest: 9, head: 10 })
      })

      it('opens no hole when a clock went backwards', async () => {
        await write(
          's',
          putSession(session('s')),
          events(1, 1, { at: instant(9) }),
          events(2, 2, { at: instant(1) }),
          events(3),
        )
        expect(await store.retain({ before: instant(5) })).toBe(0)
        expect(replay(store, 's')).toBe('1-1;2-2;3-3;')
      })

      it('takes new events while and after old ones are removed', async () => {
        await create('s')
        for (let n = 1; n <= 1000; n += 1) void write('s', events(n))
        await store.flush()
        const retained = store.retain({ before: instant(1) })
        const more = Array.from({ length: 50 }, (_, n) => write('s', events(1001 + n, 1001 + n, { at: instant(2) })))
        await Promise.all([retained, ...more])
        expect(store.bounds('s').head).toBe(1050)
        const newest = Array.from({ length: 50 }, (_, n) => `${1001 + n}-${1001 + n};`).join('')
        expect(replay(store, 's', 1000).endsWith(newest)).toBe(true)
      })

      it('takes pieces out of old segments, which keep their bounds', async () => {
        const piece = (seq: number) => frame(seq, `{"type":"agent_choice","content":"${seq}"}`)
        const whole = (seq: number) => frame(seq, `{"type":"agent_choice_made","content":"agent_choice"}`)
        await write(
          's',
          putSession(session('s')),
          events(1, 3, { at: instant(1), text: piece(1) + piece(2) + whole(3) }),
          events(4, 5, { at: instant(2), text: piece(4) + piece(5) }),
          events(6, 6, { at: instant(3), text: whole(6) }),
          events(7, 8, { at: instant(9), text: piece(7) + whole(8) }),
        )
        const read = () => store.events('s', 0)
        expect(await store.thin(instant(1))).toBe(0)
        expect(await store.thin(instant(5))).toBe(2)
        const text = whole(3) + whole(6) + piece(7) + whole(8)
        expect(read()).toEqual({ first: 1, last: 8, text })
        expect(await store.thin(instant(5))).toBe(0)
        expect(await store.thin(instant(99))).toBe(1)
        expect(read()).toEqual({ first: 1, last: 8, text: whole(3) + whole(6) + whole(8) })
        await write('s', events(9, 9, { at: instant(100), text: piece(9) }))
        expect(await store.thin(instant(101))).toBe(1)
        expect(store.bounds('s')).toEqual({ oldest: 1, head: 9 })
        expect(store.events('s', 8)).toMatchObject({ last: 9, text: expect.not.stringContaining('"agent_choice"') })
      })

      it('forgets runs, inputs and requests that ended long ago, but no newest run, and nothing that a run has asked that goes on', async () => {
        const ended = (id: string, at: number) => run('s', id, { status: 'completed', ended_at: instant(at) })
        const settled = (id: string, at: number) => ({ ...request('s', id, 'answered'), settled_at: instant(at) })
        const delivered = (id: string, at: number) => ({ ...input('s', id, 'delivered'), created_at: instant(at) })
        const waitedLong = { ...delivered('i4', 1), settled_at: instant(9) }
        const held = { ...input('s', 'i5', 'held'), created_at: instant(1) }
        await write(
          's',
          putSession(session('s')),
          ...[ended('r1', 1), run('s', 'r2'), ended('r3', 9), ended('r4', 1)].map(
            (run): Change => ({ kind: 'run.put', run }),
          ),
          ...[settled('q1', 1), request('s', 'q2'), settled('q3', 9), { ...settled('q4', 1), run_id: 'r2' }].map(
            (request): Change => ({ kind: 'request.put', request }),
          ),
          ...[delivered('i1', 1), input('s', 'i2'), delivered('i3', 9), waitedLong, held].map(
            (input): Change => ({ kind: 'input.put', input }),
          ),
        )
        expect(await store.forgetRecords(instant(5))).toBe(3)
        expect(store.runs('s', { limit: 9 }).entries.map(({ run_id }) => run_id)).toEqual(['r4', 'r3', 'r2'])
        expect(store.requests('s', 'all').map(({ id }) => id)).toEqual(['q2', 'q3', 'q4'])
        expect(store.inputs('s').map(({ id }) => id)).toEqual(['i2', 'i5'])
        expect(store.input('s', 'i4')).toEqual(waitedLong)
        expect(await store.forgetRecords(instant(99))).toBe(4)
        expect(store.inputs('s').map(({ id }) => id)).toEqual(['i2', 'i5'])
        expect(store.runs('s', { limit: 9 }).entries.map(({ run_id }) => run_id)).toEqual(['r4', 'r2'])
        expect(await store.forgetRecords(instant(99))).toBe(0)
      })

      it('forgets keys made before an instant', async () => {
        await write(
          's',
          { kind: 'key.put', key: key('s', 'old', instant(1)) },
          { kind: 'key.put', key: key('s', 'new', instant(2)) },
        )
        expect(await store.forgetKeys(instant(2))).toBe(1)
        expect(store.key('s', 'old')).toBeUndefined()
        expect(store.key('s', 'new')).toBeDefined()
        expect(store.key('t', 'new')).toBeUndefined()
      })
    })

    describe('what is told over all sessions', () => {
      /** Place, type and session of what was told after a cursor. */
      const told = (after = 0) => {
        const all: [number, string, string][] = []
        for (let cursor = after; ; ) {
          const page = store.fleetEvents(cursor)
          if (page === undefined) return all
          for (const { seq, json } of parseFrames(page.text)) {
            const { type, session } = FleetEvent.parse(JSON.parse(json))
            all.push([seq, type, session.id])
          }
          cursor = page.last
        }
      }
      const add = (id: string, more: Partial<FleetSession> = {}) => {
        const parent_id = more.parent_id
        const agent = more.agent === undefined ? undefined : { source: more.agent, name: 'root' }
        const one = shown(id, more)
        return write(id, putSession(session(id, { parent_id, agent })), putFleet(one), tell('session_created', one))
      }

      it('is numbered in the order of commits, and is committed with what it tells (S4, S8)', async () => {
        expect([store.fleetBounds(), store.fleetEvents(0)]).toEqual([{ oldest: 0, head: 0 }, undefined])
        const results = await Promise.allSettled([
          add('a'),
          write('none', tell('session_progress', shown('none'))),
          add('b'),
          write('a', tell('session_title', shown('a')), tell('session_progress', shown('a'))),
        ])
        expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
        const all = [
          [1, 'session_created', 'a'],
          [2, 'session_created', 'b'],
          [3, 'session_title', 'a'],
          [4, 'session_progress', 'a'],
        ]
        expect(told()).toEqual(all)
        expect(told(2)).toEqual(all.slice(2))
        expect(told(9)).toEqual([])
        expect(store.fleetBounds()).toEqual({ oldest: 1, head: 4 })
        expect(store.fleetSession('a')).toEqual(shown('a'))
        expect(store.fleetSession('none')).toBeUndefined()
      })

      it('comes in pages of bounded size', async () => {
        const title = 'x'.repeat(100_000)
        await add('a')
        for (let n = 0; n < 8; n += 1) void write('a', tell('session_title', shown('a', { title })))
        await store.flush()
        expect(store.fleetEvents(1)).toMatchObject({ first: 2, last: 3 })
        expect(told()).toHaveLength(9)
      })

      it('tells of every session that goes, those below it too (S7, S8)', async () => {
        await add('a')
        await add('below', { parent_id: 'a', above: ['a'] })
        await add('under', { parent_id: 'below', above: ['a', 'below'] })
        await create('unseen', { parent_id: 'a' })
        await write('a', { kind: 'session.delete' })
        const gone = told(3).map(([, type, id]) => `${type} ${id}`)
        expect(gone.sort()).toEqual(['a', 'below', 'under'].map((id) => `session_deleted ${id}`))
        expect(store.fleetSessions({ limit: 9, children: true })).toEqual({ entries: [], next: undefined, head: 6 })
      })

      it('shows sessions in pages that name where the first one was read', async () => {
        await add('a', { agent: 'coder' })
        await add('b', { agent: 'writer' })
        await add('below', { parent_id: 'a', above: ['a'], agent: 'coder' })
        await add('c', { agent: 'coder' })
        const ids = (page: FleetSessions) => page.entries.map(({ id }) => id)
        expect(ids(store.fleetSessions({ limit: 9 }))).toEqual(['c', 'b', 'a'])
        expect(ids(store.fleetSessions({ limit: 9, children: true }))).toEqual(['c', 'below', 'b', 'a'])
        expect(ids(store.fleetSessions({ limit: 9, agent: 'coder' }))).toEqual(['c', 'a'])
        expect(ids(store.fleetSessions({ limit: 9, session: 'a' }))).toEqual(['below', 'a'])
        expect(ids(store.fleetSessions({ limit: 9, session: 'a', children: false }))).toEqual(['a'])
        const first = store.fleetSessions({ limit: 2 })
        expect([ids(first), first.head]).toEqual([['c', 'b'], 4])
        await add('d')
        const second = store.fleetSessions({ limit: 2, cursor: first.next })
        expect([ids(second), second.head, second.next]).toEqual([['a'], 4, undefined])
        expect(() => store.fleetSessions({ limit: 2, cursor: 'x' })).toThrow('')
      })

      it('goes when it is old or too much, but for the newest, and no number is used again (S8)', async () => {
        for (let n = 1; n <= 9; n += 1) {
          await write('s', putSession(session('s')), tell('session_progress', shown('s'), instant(n)))
        }
        expect(await store.retainFleet({ before: instant(3), keep: 99 })).toBe(2)
        expect(store.fleetBounds()).toEqual({ oldest: 3, head: 9 })
        expect(await store.retainFleet({ before: instant(0), keep: 4 })).toBe(3)
        expect(told().map(([seq]) => seq)).toEqual([6, 7, 8, 9])
        expect(await store.retainFleet({ before: instant(99), keep: 0 })).toBe(3)
        expect(store.fleetBounds()).toEqual({ oldest: 9, head: 9 })
        await write('s', tell('session_progress', shown('s')))
        expect(store.fleetBounds()).toEqual({ oldest: 9, head: 10 })
      })
    })

    describe('closing', () => {
      it('commits what was handed over, and closes twice without harm', async () => {
        const written = create('s')
        const closed = store.close()
        await written
        await closed
        await store.close()
        expect(store.health().connected).toBe(false)
      })

      it('rejects writes when it is closed (S5)', async () => {
        await store.close()
        await expect(create('s')).rejects.toMatchObject(unavailable)
      })
    })
  })
}
