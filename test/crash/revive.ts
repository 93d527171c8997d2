import { expect } from 'vitest'
import { QueueState, type Recovery } from '../../src/protocol/protocol.ts'
import { checkSession } from './check.ts'
import { type Client, isAnswer, streamed } from './client.ts'
import { record } from './reader.ts'
import type { SessionWitness } from './session-witness.ts'
import { settle } from './settle.ts'
import { isWhole, Started } from './talker.ts'

/** The one answer that is another when the request is repeated. */
const duplicate = '202 {"status":"duplicate","duplicate":true}'

/** Repeats requests with their keys, as a client does that has lost its server, and takes down what came of it. */
export async function repeatKeyed(client: Client, { said, runs }: SessionWitness): Promise<void> {
  for (const entry of said) {
    const { keyed, outcome, kind, answer: first } = entry
    if (keyed === undefined || outcome === 'refused') continue
    const { path, body, key } = keyed
    const answer = await client.send('POST', path, body, { 'idempotency-key': key })
    const told = `${answer.status} ${answer.text}`
    if (outcome === 'accepted') {
      const wanted = kind === 'followup' ? duplicate : first
      expect(answer.status, `the answer to ${key}, repeated at ${path}`).toBe(202)
      if (isWhole(wanted.slice(4))) expect(told, `the answer to ${key}, repeated at ${path}`).toBe(wanted)
    } else if (answer.outcome === 'accepted') {
      Object.assign(entry, { outcome: 'accepted', answer: told })
      if (kind === 'run') runs.push(Started.parse(JSON.parse(answer.text)))
    }
  }
}

/** Checks that a session can be used: a run takes everything that waits, ends well, and leaves nothing behind. */
export async function checkWorks(
  client: Client,
  session: SessionWitness,
  text: string,
  recovery: Recovery = 'resume',
): Promise<void> {
  const { id } = session
  // What was repeated may have started a run.
  await settle(client, session)
  await session.say({ kind: 'run', text }, async () => {
    const body = await client.stream('POST', `/${id}/agent/brief`, { body: { messages: [{ content: text }] } })
    if (isAnswer(body)) throw new Error(`session ${id} is stuck: a run was answered ${body.status} ${body.text}`)
    const last = await record(session, body)
    expect(session.frames.get(last), `the end of a run of session ${id}`).toContain('"reason":"normal"')
    return streamed
  })
  const { steer, followup } = await client.get(`/${id}/queue`, QueueState)
  expect(steer.depth + followup.depth, `what still waits in session ${id} after a run that ended well`).toBe(0)
  await checkSession(client, session, recovery)
}
