import { EventSource } from 'eventsource'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cuttingProxy } from './cutting-proxy.ts'
import { createSession, House, scripted, startRun } from './house.ts'
import { idsOf, idsUpTo, type Reading, readEvents, readRun, said } from './resuming-reader.ts'

/** Characters of one to four bytes, so that cuts fall into characters too. */
const words = Array.from({ length: 150 }, (_, n) => `${['word', 'Wörter', '言葉', '⚓🚢'][n % 4]}-${n} `).join('')
const thoughts = 'hm … 考える 🤔 '.repeat(20)

let house: House

beforeAll(async () => {
  const every = '1ms'
  const quick = scripted([{ reasoning: thoughts }, { text: words }])
  const slow = scripted([
    { reasoning: thoughts, every },
    { text: words, every },
  ])
  house = await House.open({ files: { quick, slow } })
})
afterAll(() => house[Symbol.asyncDispose]())

/** The log as a reader gets it whom nobody disturbs. */
async function undisturbed(id: string): Promise<Reading> {
  const whole = await readEvents(house.url, id)
  expect(idsOf(whole.frames)).toEqual(idsUpTo(whole.frames.length))
  expect(said(whole.frames)).toBe(words)
  expect(said(whole.frames, 'agent_choice_reasoning')).toBe(thoughts)
  return whole
}

/** Where the connections of one reader are cut: some in the headers, some anywhere in what the log takes on the wire. */
const cuts = fc.array(fc.oneof({ weight: 1, arbitrary: fc.integer({ min: 1, max: 2600 }) }, anywhere(45_000)), {
  minLength: 1,
  maxLength: 5,
})

function anywhere(bytes: number) {
  return { weight: 4, arbitrary: fc.integer({ min: 1, max: bytes }) }
}

describe('A reader that is cut off at any byte and resumes has read exactly what others have read', () => {
  test('of a log that is whole already', async () => {
    const id = await createSession(house.client)
    await startRun(house.client, id, 'quick')
    const whole = await undisturbed(id)
    let cut = 0
    await fc.assert(
      fc.asyncProperty(cuts, async (bytes) => {
        const reading = await readEvents(house.url, id, bytes)
        expect(reading.text).toBe(whole.text)
        cut += reading.cut
      }),
      { numRuns: 60 },
    )
    expect(cut).toBeGreaterThan(60)
  })

  test('of a run that goes on meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(cuts, { minLength: 12, maxLength: 12 }), async (readers) => {
        const id = await createSession(house.client)
        const readings = readers.map((bytes) => readEvents(house.url, id, bytes))
        await startRun(house.client, id, 'slow')
        const whole = await undisturbed(id)
        for (const { text } of await Promise.all(readings)) expect(text).toBe(whole.text)
      }),
      { numRuns: 3, endOnFailure: true },
    )
  })

  test.each(['quick', 'slow'])('of the stream of a %s run that goes on without its client', async (agent) => {
    await fc.assert(
      fc.asyncProperty(fc.array(cuts, { minLength: 10, maxLength: 10 }), async (clients) => {
        const checks = clients.map(async (bytes) => {
          const id = await createSession(house.client)
          const reading = await readRun(house.url, id, { agent, text: 'go on', cuts: bytes })
          expect(reading.text).toBe((await undisturbed(id)).text)
        })
        await Promise.all(checks)
      }),
      { numRuns: 2, endOnFailure: true },
    )
  })

  test('when it is a standard EventSource, with no code of ours', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(cuts, { minLength: 10, maxLength: 10 }), async (readers) => {
        const checks = readers.map(async (bytes, n) => {
          const id = await createSession(house.client)
          await using proxy = await cuttingProxy(house.url, bytes.slice(0, 3))
          // One that begins after a snapshot says so in its URL, also when it comes back.
          const reading = eventSource(`${proxy.url}/api/sessions/${id}/events${n % 2 ? '?since=0' : ''}`)
          await startRun(house.client, id, 'slow')
          expect(await reading).toBe((await undisturbed(id)).text)
        })
        await Promise.all(checks)
      }),
      { numRuns: 1, endOnFailure: true },
    )
  })
})

/** What an EventSource has seen when a run has ended, written as it came. */
function eventSource(url: string): Promise<string> {
  const source = new EventSource(url)
  let text = ''
  return new Promise((resolve, reject) => {
    source.addEventListener('message', ({ lastEventId, data }) => {
      text += `id: ${lastEventId}\ndata: ${data}\n\n`
      if (!data.startsWith('{"type":"stream_stopped"')) return
      source.close()
      resolve(text)
    })
    source.addEventListener('error', ({ code, message }) => {
      if (source.readyState === source.CLOSED) reject(new Error(`the EventSource gave up: ${code} ${message}`))
    })
  })
}
