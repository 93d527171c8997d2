import { z } from 'zod'
import { type Answer, noAnswer, type Outcome, outcomeOf } from '../client.ts'
import type { SessionWitness } from '../session-witness.ts'
import { parse, toldBySnapshot } from '../talker.ts'
import { Witness } from '../witness.ts'
import type { ToldAnswer } from './answers.ts'
import { type Deed, placeOf } from './deeds.ts'

const Titled = z.object({ title: z.string() })
const Created = z.object({ id: z.string() })
const Started = z.object({ run_id: z.string(), first_seq: z.number() })
const Saying = z.object({ messages: z.tuple([z.object({ content: z.string() })]) })

/** Better answers first: of two requests that said the same, the better counts. */
const ranks: Readonly<Record<Outcome, number>> = { accepted: 0, unknown: 1, refused: 2 }

/** All that clients had been told when a call began, as if they had lost the server then. */
export async function witnessAt(
  place: number,
  deeds: readonly Deed[],
  answers: ReadonlyMap<string, ToldAnswer>,
): Promise<Witness> {
  const witness = new Witness()
  for (const deed of deeds) {
    const told = answers.get(deed.id)
    if (told === undefined || told.at > place) await replay(witness, deed, noAnswer, undefined)
    else {
      const { status, text } = told
      const frames = told.frames.filter(({ at }) => at <= place)
      await replay(witness, deed, { outcome: outcomeOf(status), status, text }, { ...told, frames })
    }
  }
  return witness
}

async function replay(witness: Witness, deed: Deed, answer: Answer, told: ToldAnswer | undefined): Promise<void> {
  const { sessionId, act } = placeOf(deed)
  if (act === 'POST') {
    create(witness, Titled.parse(deed.body).title, answer)
    return
  }
  if (sessionId === 'events') for (const frame of told?.frames ?? []) witness.fleet.show(frame)
  const session = witness.find(sessionId)
  // Nobody knew its id yet.
  if (session === undefined) return
  if (act === 'POST cancel') session.stopAsked = true
  if (answer.text.includes('"unknown_session"')) session.seeGone()
  else if (act === 'PATCH title') await session.retitle(Titled.parse(deed.body).title, async () => answer)
  else if (act === 'DELETE') await session.delete(async () => answer)
  else if (act === 'GET snapshot') look(session, answer)
  else if (act === 'POST runs') await start(session, deed, answer)
  else if (act === 'POST steer') say(session, 'steer', deed, answer)
  else if (act === 'POST followup') say(session, 'followup', deed, answer)
  else if (act.startsWith('POST agent/')) say(session, 'run', deed, answer)
  for (const frame of told?.frames ?? []) session.show({ seq: frame.seq, bytes: frame.bytes })
}

function create(witness: Witness, title: string, answer: Answer): void {
  const created = answer.outcome === 'accepted' ? parse(Created, answer.text) : undefined
  if (created !== undefined) witness.created(created.id, title)
  else if (answer.outcome !== 'refused') witness.createdPerhaps(title)
}

async function start(session: SessionWitness, deed: Deed, answer: Answer): Promise<void> {
  say(session, 'run', deed, answer)
  const run = answer.outcome === 'accepted' ? parse(Started, answer.text) : undefined
  if (run !== undefined) session.runs.push(run)
}

function say(session: SessionWitness, kind: 'run' | 'steer' | 'followup', deed: Deed, answer: Answer): void {
  const text = saidIn(deed)
  const { outcome } = answer
  const told = `${answer.status} ${answer.text}`
  const { path, body, key } = deed
  const keyed = key === undefined ? undefined : { path, body, key }
  const before = session.said.find((said) => said.text === text)
  if (before === undefined) session.said.push({ kind, text, keyed, outcome, answer: told })
  else if (ranks[outcome] < ranks[before.outcome]) Object.assign(before, { outcome, answer: told })
}

function look(session: SessionWitness, answer: Answer): void {
  const told = answer.outcome === 'accepted' ? toldBySnapshot(answer.text) : undefined
  if (told !== undefined) session.snapshots.push(told)
}

/** What a request says to a session. */
export function saidIn({ body }: Deed): string {
  return Saying.parse(body).messages[0].content
}
