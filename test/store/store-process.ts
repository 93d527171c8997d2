/**
 * A process that owns a store, for tests that need another one. Opens the database that its first argument names, then
 * obeys lines on stdin: `write ID` creates a session, `fill ID` appends events until a write is refused, `recover` waits
 * until the store can write again, `close` closes it. Answers each with one line.
 */
import { createInterface } from 'node:readline'
import { createSqliteStore } from '../../src/store/sqlite-store.ts'
import { events, putSession, session } from './records.ts'

const path = process.argv[2]
if (path === undefined) throw new Error('usage: store-process DATABASE')
const say = (line: string) => process.stdout.write(`${line}\n`)
const store = createSqliteStore({ path, ownerWaitMs: 60_000 })
const opening = store.open()
if (!store.health().connected) {
  const shown = setInterval(() => {
    if (store.health().error === 'another process owns the database') {
      clearInterval(shown)
      say('waiting')
    }
  }, 10)
  await opening
  clearInterval(shown)
}
say('open')

/** Appends until the disk is full. Says how many events were committed. */
async function fill(id: string): Promise<string> {
  for (let seq = 1; ; seq += 1) {
    try {
      await store.write({ session_id: id, changes: [events(seq, seq, { text: 'x'.repeat(32 * 1024) })] })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : error
      const { connected } = store.health()
      return `${code} after ${seq - 1}, connected ${connected}, head ${store.bounds(id).head}`
    }
  }
}

async function obey(command: string | undefined, id: string): Promise<string> {
  if (command === 'write') await store.write({ session_id: id, changes: [putSession(session(id))] })
  if (command === 'fill') return fill(id)
  if (command === 'recover') while (!store.health().connected) await new Promise((resolve) => setTimeout(resolve, 20))
  if (command === 'close') await store.close()
  return `${command} done`
}

for await (const line of createInterface({ input: process.stdin })) {
  const [command, id = ''] = line.split(' ')
  say(await obey(command, id))
  if (command === 'close') process.exit()
}
