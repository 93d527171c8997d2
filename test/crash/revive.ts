import { expect } from 'vitest'
import { z } from 'zod'
import { QueueState } from '../../src/protocol/protocol.ts'
import { checkSession } from './check.ts'
import { type Client, isAnswer, streamed } from './client.ts'
import { record } from './reader.ts'
import type { SessionWitness } from './session-witness.ts'

const FollowUp = z.object({ duplicate: z.boolean() })

/** Repeats follow-ups with their keys, as a client does that has lost its server, and takes down what came of it. */
export async function repeatFollowUps(client: Client, { id, said }: SessionWitness): Promise<void> {
  for (const entry of said) {
    const { text, key, outcome } = entry
    if (key === undefined || outcome === 'refused') continue
    const headers = { 'idempotency-key': key }
    const answer = await client.send('POST', `/${id}/followup`, { messages: [{ content: text }] }, headers)
    if (answer.outcome === 'accepted') entry.outcome = 'accepted'
    if (outcome === 'unknown') continue
    expect(answer.status, `the answer to "${text}", repeated with its key in session ${id}`).toBe(202)
    const { duplicate } = FollowUp.parse(JSON.parse(answer.text))
    expect(duplicate, `"${text}", accepted before and repeated with its key in session ${id}, is a duplicate`).toBe(
      true,
    )
  }
}

/** Checks that a session can be used: a run takes everything that waits, ends well, and leaves nothing behind. */
export async function checkWorks(client: Client, session: SessionWitness, text: string): Promise<void> {
  const { id } = session
  await client.send('POST', `/${id}/cancel`)
  await session.say({ kind: 'run', text }, async () => {
    const body = await client.stream('POST', `/${id}/agent/brief`, { body: { messages: [{ content: text }] } })
    if (isAnswer(body)) throw new Error(`session ${id} is stuck: a run was answered ${body.status} ${body.text}`)
    const last = await record(session, body)
    expect(session.frames.get(last), `the end of a run of session ${id}`).toContain('"reason":"normal"')
    return streamed
  })
  const { steer, followup } = await client.get(`/${id}/queue`, QueueState)
  expect(steer.depth + followup.depth, `what still waits in session ${id} after a run that ended well`).toBe(0)
  await checkSession(client, session)
}
