import { getEventListeners } from 'node:events'
import { beforeEach, describe, expect, it } from 'vitest'
import type { LogPage } from '../../src/event-log/event-log.ts'
import type { ForeignEvent } from '../../src/protocol/protocol.ts'
import { allOf, brief, type LogUnderTest, options, pagesOf, said, shown, tell } from '../event-log/log-under-test.ts'

const KiB = 1024

/** What every event log promises (`src/event-log/event-log.ts`). `open` makes an empty log, with a journal of its own. */
export function eventLogContract(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`${name} keeps the promises of an event log`, () => {
    let book: LogUnderTest

    beforeEach(async () => {
      book = await open()
    })

    describe('numbering', () => {
      it('gives events the seqs from 1 on, without a hole (L1)', async () => {
        expect(book.log.head).toBe(0)
        expect(['a', 'b', 'c'].map((text) => book.log.append(said(text)))).toEqual([1, 2, 3])
        await book.commit()
        expect(book.log.append(said('d'))).toBe(4)
        expect(book.log.head).toBe(4)
      })

      it('goes on with the next seq when it is opened again (L1)', async () => {
        await tell(book, 'a', 'b')
        const again = book.reopen()
        expect([again.log.head, again.log.published]).toEqual([2, 2])
        expect(await tell(again, 'c')).toBe(3)
        expect(await allOf(again.log)).toEqual(['1 a', '2 b', '3 c'])
      })

      it('keeps its head when retention removes old events, also across a restart (L1)', async () => {
        for (const text of ['a', 'b', 'c']) await tell(book, text)
        await book.retain(1)
        expect(book.log.bounds()).toEqual({ oldest: 3, head: 3 })
        expect(await tell(book.reopen(), 'd')).toBe(4)
      })

      it('gives the seq of an event again only when nobody was shown it (L1, L4)', async () => {
        await tell(book, 'a')
        book.log.append(said('lost in a crash'))
        const again = book.reopen()
        await tell(again, 'b')
        expect(await allOf(again.log)).toEqual(['1 a', '2 b'])
      })
    })

    describe('reading', () => {
      it('shows every event after a cursor once and in order (L3)', async () => {
        const texts = Array.from({ length: 40 }, (_, at) => `text ${at + 1}`)
        for (let at = 0; at < 40; at += 5) await tell(book, ...texts.slice(at, at + 5))
        const all = texts.map((text, at) => `${at + 1} ${text}`)
        for (const { log } of [book, book.reopen()]) {
          for (let since = 0; since <= 40; since += 1) expect(await allOf(log, { since })).toEqual(all.slice(since))
          expect(await allOf(log)).toEqual(all)
        }
      })

      it('shows a tail what is published later (L3)', async () => {
        await tell(book, 'a')
        const tail = book.log.read(options({ follow: true }))
        expect(brief(shown(await next(tail)))).toEqual(['1 a'])
        const later = next(tail)
        await tell(book, 'b', 'c')
        expect(brief(shown(await later))).toEqual(['2 b', '3 c'])
        await tell(book, 'd')
        await tell(book, 'e')
        expect(brief(shown(await next(tail)))).toEqual(['4 d', '5 e'])
        await tail.return()
      })

      it('goes on where a reader was cut off (L3)', async () => {
        for (let at = 0; at < 12; at += 1) await tell(book, `${at}`.padEnd(60 * KiB, '.'))
        const entries = []
        for (let since = 0; since < 12; ) {
          const reader = book.log.read(options({ since }))
          const page = await next(reader)
          await reader.return()
          entries.push(...shown(page))
          since = page.kind === 'frames' ? page.last : 12
        }
        expect(entries.map((entry) => 'seq' in entry && entry.seq)).toEqual(
          Array.from({ length: 12 }, (_, at) => at + 1),
        )
      })

      it('says of each page which seqs it stands for (L3)', async () => {
        for (let at = 0; at < 12; at += 1) await tell(book, 'x'.repeat(50 * KiB), 'y')
        let last = 0
        for (const page of await pagesOf(book.log)) {
          const seqs = shown(page).map((entry) => 'seq' in entry && entry.seq)
          expect(page).toMatchObject({ kind: 'frames', first: last + 1, last: seqs.at(-1) })
          expect(seqs[0]).toBe(last + 1)
          last += seqs.length
        }
        expect(last).toBe(24)
      })

      it.each([
        ['text beyond ASCII', { type: 'x', content: 'Grüße, 世界 🚢 \u{1f468}‍\u{1f469}‍\u{1f467}' }],
        ['line breaks of every kind', { type: 'x', content: 'a\nb\r\nc\rd\u2028e\u2029f\u0085g\u000bh' }],
        ['a text that looks like a frame', { type: 'x', content: '\n\nid: 5\ndata: {"type":"y"}\n\nid: 3\n' }],
        ['a text that looks like an escaped frame', { type: 'x', content: '\\n\\nid: 2\\ndata: x' }],
        ['half of a surrogate pair', { type: 'x', content: 'a\ud83d' }],
        ['control characters', { type: 'x', content: '\u0000\u001b[31m\u007f' }],
        ['keys that look like numbers', { type: 'x', 7: 'seven', 0: 'zero' }],
        ['a type with quotes and brackets', { type: 'a"b\\c{}\n', content: 1 }],
        ['no field but its type', { type: 'x' }],
      ] satisfies [string, ForeignEvent][])(
        'shows %s as it was appended, from wherever it is read (L3)',
        async (_, event) => {
          for (const one of [said('before'), event, said('after')]) book.log.append(one)
          book.log.publish(await book.commit())
          for (const { log } of [book, book.reopen()]) {
            const pages = await pagesOf(log, { since: 0 })
            expect(pages.flatMap(shown)[1]).toEqual({ seq: 2, event })
            expect(brief((await pagesOf(log, { since: 2 })).flatMap(shown))).toEqual(['3 after'])
            const filtered = await pagesOf(log, { types: new Set([event.type]) })
            expect(filtered.flatMap(shown)).toEqual([{ seq: 2, event }])
          }
        },
      )

      it('shows only events of the types that were asked for, and moves on over the others', async () => {
        for (const type of ['a', 'b', 'a', 'c', 'ab']) book.log.append(said(type, type))
        book.log.publish(await book.commit())
        for (const { log } of [book, book.reopen()]) {
          expect(await allOf(log, { types: new Set(['a']) })).toEqual(['1 a', '3 a'])
          expect(await allOf(log, { types: new Set(['b', 'c']), since: 2 })).toEqual(['4 c'])
          expect(await allOf(log, { types: new Set(['none']) })).toEqual([])
        }
      })

      it('keeps a filtered tail waiting until something for it is published', async () => {
        const tail = book.log.read(options({ follow: true, types: new Set(['b']) }))
        const first = next(tail)
        await tell(book, 'not for it')
        book.log.append(said('for it', 'b'))
        book.log.publish(await book.commit())
        expect(brief(shown(await first))).toEqual(['2 for it'])
        await tail.return()
      })

      it('lets other work go on while a filter searches a long log', async () => {
        for (let at = 0; at < 12; at += 1) await tell(book, 'x'.repeat(60 * KiB))
        let turns = 0
        const count = () => {
          turns += 1
          timer = setImmediate(count)
        }
        let timer = setImmediate(count)
        expect(await allOf(book.log, { types: new Set(['none']) })).toEqual([])
        clearImmediate(timer)
        expect(turns).toBeGreaterThan(1)
      })

      it('ends a reader that does not follow where the log ends', async () => {
        expect(await allOf(book.log)).toEqual([])
        await tell(book, 'a')
        expect(await allOf(book.log, { since: 1 })).toEqual([])
      })

      it('ends a reader after the event it was to read until', async () => {
        await tell(book, 'a', 'b', 'c', 'd')
        for (const { log } of [book, book.reopen()]) {
          expect(await allOf(log, { since: 1, follow: true, until: () => 3 })).toEqual(['2 b', '3 c'])
          expect(await allOf(log, { since: 3, follow: true, until: () => 3 })).toEqual([])
        }
      })

      it('follows until the last seq is known and shown', async () => {
        let last: number | undefined
        const tail = book.log.read(options({ since: 0, follow: true, until: () => last }))
        const first = next(tail)
        await tell(book, 'a')
        expect(brief(shown(await first))).toEqual(['1 a'])
        const second = next(tail)
        last = 2
        await tell(book, 'b', 'c')
        expect(brief(shown(await second))).toEqual(['2 b'])
        expect(await tail.next()).toEqual({ done: true, value: undefined })
      })
    })

    describe('gaps', () => {
      it('tells a reader whose cursor nobody can read, and goes on at the head (L3)', async () => {
        await tell(book, 'a', 'b')
        const gap = { type: 'gap', requested: null, oldest: 1, head: 2, reason: 'invalid' }
        expect(await allOf(book.log, { since: null })).toEqual([gap])
      })

      it('tells a reader that is ahead, and goes on at the head (L3)', async () => {
        await tell(book, 'a', 'b')
        const tail = book.log.read(options({ since: 7, follow: true }))
        const gap = { type: 'gap', requested: 7, oldest: 1, head: 2, reason: 'ahead' }
        expect(brief(shown(await next(tail)))).toEqual([gap])
        await tell(book, 'c')
        expect(brief(shown(await next(tail)))).toEqual(['3 c'])
        await tail.return()
      })

      it('tells a reader that retention has passed, and goes on at the oldest event (L3)', async () => {
        for (const text of ['a', 'b', 'c', 'd']) await tell(book, text)
        await book.retain(2)
        const gap = { type: 'gap', requested: 1, oldest: 3, head: 4, reason: 'retention' }
        for (const { log } of [book, book.reopen()]) {
          expect(await allOf(log, { since: 1 })).toEqual([gap, '3 c', '4 d'])
          expect(await allOf(log, { since: 2 })).toEqual(['3 c', '4 d'])
          expect(await allOf(log)).toEqual(['3 c', '4 d'])
        }
      })

      it('tells of no gap in a log that is empty (L3)', async () => {
        expect(await allOf(book.log, { since: 0 })).toEqual([])
        expect(book.log.bounds()).toEqual({ oldest: 0, head: 0 })
        book.log.append(said('not published'))
        expect(book.log.bounds()).toEqual({ oldest: 0, head: 0 })
      })

      it('tells of no gap beyond what is published, and shows what retention has removed by then (L3, L4)', async () => {
        const { log, commit, retain } = book
        for (const text of ['a', 'b']) {
          log.append(said(text))
          await commit()
        }
        await retain(1)
        expect(log.bounds()).toEqual({ oldest: 0, head: 0 })
        const tail = log.read(options({ since: 0, follow: true }))
        const page = next(tail)
        log.publish(2)
        expect(brief(shown(await page))).toEqual(['1 a', '2 b'])
        await tail.return()
      })

      it('tells a reader that everything is gone once, and goes on at the head (L3)', async () => {
        for (const text of ['a', 'b']) await tell(book, text)
        const { log, commit, retain } = book.reopen()
        for (const text of ['c', 'd']) {
          log.append(said(text))
          await commit()
        }
        await retain(1)
        const gap = { type: 'gap', requested: 0, oldest: 3, head: 2, reason: 'retention' }
        expect(await allOf(log, { since: 0 })).toEqual([gap])
        expect(await allOf(log, { since: 2 })).toEqual([])
        const tail = log.read(options({ since: 2, follow: true }))
        const page = next(tail)
        log.publish(4)
        expect(brief(shown(await page))).toEqual(['3 c', '4 d'])
        await tail.return()
      })

      it('tells a reader that retention passes on its way, and goes on at the oldest event (L3)', async () => {
        const { log, retain } = await stored(book, 20)
        const reader = log.read(options())
        expect(shown(await next(reader))[0]).toMatchObject({ seq: 1 })
        await retain(2)
        const gap = { type: 'gap', requested: 4, oldest: 19, head: 20, reason: 'retention' }
        expect(brief(shown(await next(reader)))).toEqual([gap])
        const rest = (await Array.fromAsync(reader)).flatMap(shown)
        expect(rest.map((entry) => 'seq' in entry && entry.seq)).toEqual([19, 20])
      })

      it('tells again when retention passes a reader again while it is being told (L3)', async () => {
        const { log, retain } = await stored(book, 20)
        const reader = log.read(options())
        await next(reader)
        await retain(10)
        expect(shown(await next(reader))).toMatchObject([{ gap: { requested: 4, oldest: 11 } }])
        await retain(2)
        expect(shown(await next(reader))).toMatchObject([{ gap: { requested: 10, oldest: 19 } }])
        expect(shown(await next(reader))[0]).toMatchObject({ seq: 19 })
        await reader.return()
      })

      it('tells a reader whose last event retention has passed, and ends it (L3)', async () => {
        const { log, retain } = await stored(book, 20)
        const reader = log.read(options({ follow: true, until: () => 10 }))
        await next(reader)
        await retain(2)
        const rest = await Array.fromAsync(reader)
        expect(rest).toMatchObject([{ kind: 'gap', gap: { requested: 4, reason: 'retention' } }])
      })
    })

    describe('publishing', () => {
      it('shows nothing that is appended or committed but not published (L4)', async () => {
        await tell(book, 'a')
        for (const since of [undefined, 0, 1]) {
          const before = await allOf(book.log, { since })
          book.log.append(said('b'))
          expect(await allOf(book.log, { since })).toEqual(before)
          await book.commit()
          expect(await allOf(book.log, { since })).toEqual(before)
        }
        expect(book.log).toMatchObject({ published: 1, head: 4 })
        expect(book.log.bounds()).toEqual({ oldest: 1, head: 1 })
      })

      it('shows what a commit holds and not what was appended meanwhile (L4)', async () => {
        book.log.append(said('a'))
        const last = await book.commit()
        book.log.append(said('b'))
        book.log.publish(last)
        expect(await allOf(book.log)).toEqual(['1 a'])
        book.log.publish(await book.commit())
        expect(await allOf(book.log)).toEqual(['1 a', '2 b'])
      })

      it('publishes the same seq twice without harm', async () => {
        const last = await tell(book, 'a', 'b')
        book.log.publish(last)
        book.log.publish(1)
        expect(book.log.published).toBe(2)
        expect(await allOf(book.log)).toEqual(['1 a', '2 b'])
      })
    })

    describe('ending', () => {
      it('ends every tail once it has shown the last published event (L5)', async () => {
        await tell(book, 'a')
        const waiting = book.log.read(options({ since: 1, follow: true }))
        const behind = book.log.read(options({ follow: true }))
        const end = waiting.next()
        expect(brief(shown(await next(behind)))).toEqual(['1 a'])
        await tell(book, 'b')
        expect(brief(shown((await end).value ?? never()))).toEqual(['2 b'])
        book.log.append(said('never published'))
        book.log.close()
        expect(await waiting.next()).toEqual({ done: true, value: undefined })
        expect(brief(shown(await next(behind)))).toEqual(['2 b'])
        expect(await behind.next()).toEqual({ done: true, value: undefined })
      })

      it('ends a tail that waits when it is closed, and one that begins later (L5)', async () => {
        await tell(book, 'a')
        const waiting = book.log.read(options({ since: 1, follow: true }))
        const end = waiting.next()
        book.log.close()
        book.log.close()
        expect(await end).toEqual({ done: true, value: undefined })
        expect(await allOf(book.log, { follow: true })).toEqual(['1 a'])
      })

      it('ends a tail that waits when its signal aborts, and no other', async () => {
        const leaving = new AbortController()
        const left = book.log.read(options({ follow: true, signal: leaving.signal }))
        const stays = book.log.read(options({ follow: true }))
        const [end, more] = [left.next(), next(stays)]
        leaving.abort()
        expect(await end).toEqual({ done: true, value: undefined })
        await tell(book, 'a')
        expect(brief(shown(await more))).toEqual(['1 a'])
        await stays.return()
      })

      it('shows no further page to a reader whose signal has aborted, wherever it stands', async () => {
        const { log, retain } = await stored(book, 20)
        const aborted = { signal: AbortSignal.abort() }
        expect(await pagesOf(log, aborted)).toEqual([])
        expect(await pagesOf(log, { ...aborted, since: null })).toEqual([])
        for (const since of [0, 99]) {
          const leaving = new AbortController()
          const reader = log.read(options({ since, follow: true, signal: leaving.signal }))
          await next(reader)
          leaving.abort()
          expect(await reader.next()).toEqual({ done: true, value: undefined })
        }
        const leaving = new AbortController()
        const reader = log.read(options({ signal: leaving.signal }))
        await next(reader)
        await retain(2)
        expect(await next(reader)).toMatchObject({ kind: 'gap' })
        leaving.abort()
        expect(await reader.next()).toEqual({ done: true, value: undefined })
      })

      it('counts a reader from its first page until it has left, also while it is told of a gap', async () => {
        await tell(book, 'a')
        const readers = [{ since: null }, { since: 0 }].map((more) => book.log.read(options({ ...more, follow: true })))
        for (const reader of readers) await next(reader)
        expect(book.log.readers).toBe(2)
        for (const reader of readers) await reader.return()
        expect(book.log.readers).toBe(0)
        await pagesOf(book.log)
        expect(book.log.readers).toBe(0)
      })

      it('leaves nothing on a signal that outlives many readers (L6)', async () => {
        const { signal } = new AbortController()
        await tell(book, 'a')
        for (let n = 0; n < 5; n += 1) await pagesOf(book.log, { signal })
        const left = book.log.read(options({ signal, follow: true, since: null }))
        await next(left)
        await left.return()
        expect(getEventListeners(signal, 'abort')).toEqual([])
      })
    })

    describe('sizes', () => {
      it.each([
        ['one byte', 'x'],
        ['three bytes', '世'],
      ])('makes pages of at most 256 KiB of characters of %s (L6)', async (_, character) => {
        for (let at = 0; at < 6; at += 1) {
          for (let n = 0; n < 10; n += 1) book.log.append(said(character.repeat(10 * KiB)))
          book.log.publish(await book.commit())
        }
        for (const { log } of [book, book.reopen()]) {
          const pages = await pagesOf(log)
          expect(pages.flatMap(shown)).toHaveLength(60)
          for (const page of pages) expect(sizeOf(page)).toBeLessThanOrEqual(256 * KiB)
        }
      })

      it('makes a page of its own of an event that is larger than a page (L6)', async () => {
        await tell(book, 'a', 'x'.repeat(1024 * KiB), 'c')
        for (const { log } of [book, book.reopen()]) {
          const pages = await pagesOf(log)
          expect(pages.flatMap(shown)).toHaveLength(3)
          for (const page of pages) if (shown(page).length > 1) expect(sizeOf(page)).toBeLessThanOrEqual(256 * KiB)
        }
      })

      it.each([
        ['one byte', 'x'],
        ['three bytes', '世'],
      ])('drains segments of at most 64 KiB of characters of %s, or one event', async (_, character) => {
        for (const length of [10, 20_000, 20_000, 20_000, 20_000, 200_000, 10, 10]) {
          book.log.append(said(character.repeat(length)))
        }
        expect(book.log.undrainedBytes).toBeGreaterThan(280_000)
        const segments = book.log.drain()
        let last = 0
        for (const segment of segments) {
          expect(segment.first).toBe(last + 1)
          last = segment.last
          if (segment.last > segment.first) expect(Buffer.byteLength(segment.text)).toBeLessThanOrEqual(64 * KiB)
        }
        expect(last).toBe(8)
        expect(book.log.undrainedBytes).toBe(0)
        expect(book.log.drain()).toEqual([])
      })

      it('cuts an event that is larger than 8 MiB, with a mark (L6)', async () => {
        await tell(book, 'x'.repeat(9 * 1024 * KiB))
        for (const { log } of [book, book.reopen()]) {
          const [page] = await pagesOf(log)
          expect(sizeOf(page ?? never())).toBeLessThanOrEqual(8 * 1024 * KiB)
          expect(shown(page ?? never())).toMatchObject([
            { event: { content: expect.stringContaining('characters cut') } },
          ])
        }
      })

      it('waits for no reader, and holds one page for a reader that does not read (L2, L6)', async () => {
        const slow = book.log.read(options({ follow: true }))
        const first = next(slow)
        const fast = book.log.read(options({ follow: true }))
        for (let at = 1; at <= 64; at += 1) {
          const shownNow = next(fast)
          expect(await tell(book, `${at}`.padEnd(64 * KiB, '.'))).toBe(at)
          expect(shown(await shownNow)).toMatchObject([{ seq: at }])
        }
        expect(shown(await first)).toMatchObject([{ seq: 1 }])
        book.log.close()
        let seq = 1
        for await (const page of slow) {
          expect(sizeOf(page)).toBeLessThanOrEqual(256 * KiB)
          for (const entry of shown(page)) expect(entry).toMatchObject({ seq: ++seq })
        }
        expect(seq).toBe(64)
        await fast.return()
      })

      it('shares the bytes of the newest page among the readers that keep up (L6)', async () => {
        await tell(book, 'a')
        const tails = [1, 1, 1].map((since) => book.log.read(options({ since, follow: true })))
        const pages = tails.map(next)
        await tell(book, 'b', 'c')
        const buffers = new Set((await Promise.all(pages)).map((page) => page.kind === 'frames' && page.data.buffer))
        expect(buffers.size).toBe(1)
        for (const tail of tails) await tail.return()
      })
    })
  })
}

/** A log that has so many events in its journal and none in memory; four make a page. */
async function stored(book: LogUnderTest, count: number): Promise<LogUnderTest> {
  for (let at = 0; at < count; at += 1) await tell(book, 'x'.repeat(60 * KiB))
  return book.reopen()
}

async function next(reader: AsyncGenerator<LogPage, void, void>): Promise<LogPage> {
  const { value } = await reader.next()
  return value ?? never()
}

function sizeOf(page: LogPage): number {
  return page.kind === 'frames' ? page.data.length : 0
}

function never(): never {
  throw new Error('there is a page')
}
