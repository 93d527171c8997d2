import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Problem, Request } from '../../src/protocol/protocol.ts'
import type { Answer } from '../server/client.ts'
import { approval, elicitation, Puppet, type PuppetRun, runtimeOf } from '../session-manager/test-agents.ts'
import { logOf } from './house.ts'
import { type ManagedServer, managedServer } from './managed-server.ts'

const Requests = z.array(Request)

/** A session whose agent has handed a task over, and the runs of both, to be moved by hand. */
async function family(server: ManagedServer) {
  const { id: parent, run: above } = await server.begin()
  const worker = new Puppet()
  const open = () => runtimeOf('worker', worker)
  const { id: child } = await above.context.tasks.begin({
    open,
    task: 'work',
    title: 'work',
    callId: 'call-1',
    isBackground: false,
  })
  return { parent, child, above, below: await worker.next() }
}

type Say = (server: ManagedServer, id: string, request: string, word: 'yes' | 'no') => Promise<Answer>

const verdicts: Readonly<Record<string, Say>> = {
  answer: ({ client }, id, request_id, word) =>
    client.call('answerRequest', { params: { id, request_id }, body: { confirmation: confirmation(word) } }),
  resume: ({ client }, id, request_id, word) =>
    client.call('resume', { params: { id }, body: { confirmation: confirmation(word), request_id } }),
}

const actions: Readonly<Record<string, Say>> = {
  answer: ({ client }, id, request_id, word) =>
    client.call('answerRequest', { params: { id, request_id }, body: { action: action(word) } }),
  elicitation: ({ client }, id, elicitation_id, word) =>
    client.call('answerElicitation', { params: { id }, body: { action: action(word), elicitation_id } }),
}

function confirmation(word: 'yes' | 'no') {
  return word === 'yes' ? 'approve' : 'reject'
}

function action(word: 'yes' | 'no') {
  return word === 'yes' ? 'accept' : 'decline'
}

/** All ways to answer, at both sessions, in pairs. */
function pairs(ways: Readonly<Record<string, Say>>) {
  const places = (['parent', 'child'] as const).flatMap((at) =>
    Object.entries(ways).map(([name, say]) => ({ name: `${name} at the ${at}`, at, say })),
  )
  return places.flatMap((one) => places.map((other) => ({ one, other, names: `${one.name} and ${other.name}` })))
}

/** Two people answer at the same time. */
async function race(
  ask: (run: PuppetRun) => Promise<unknown>,
  answerOf: (word: 'yes' | 'no') => object,
  { one, other }: ReturnType<typeof pairs>[number],
): Promise<void> {
  await using server = await managedServer()
  const ids = await family(server)
  const asked = ask(ids.below)
  const [request] = Requests.parse((await server.client.call('listRequests', { params: { id: ids.parent } })).body)
  const id = request?.id ?? ''
  const answers = await Promise.all([
    one.say(server, ids[one.at], id, 'yes'),
    other.say(server, ids[other.at], id, 'no'),
  ])
  const won = answers.findIndex(({ status }) => status === 200)
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409])
  const answer = answerOf(won === 0 ? 'yes' : 'no')
  expect(await asked).toMatchObject(answer)
  const { code, details = [] } = Problem.parse(answers[1 - won]?.body)
  expect(code).toBe('request_settled')
  const settled = Request.parse(
    (await server.client.call('getRequest', { params: { id: ids.parent, request_id: id } })).body,
  )
  expect(settled).toMatchObject({ id, session_id: ids.child, state: 'answered', decider: 'client', answer })
  expect(details.slice(1)).toEqual([
    { path: 'request.state', message: 'answered' },
    { path: 'request.decider', message: 'client' },
    { path: 'request.settled_at', message: settled.settled_at },
  ])
  for (const session of [ids.parent, ids.child]) {
    expect((await logOf(server.client, session)).filter(({ type }) => type === 'request_settled')).toHaveLength(1)
  }
  await ids.below.end()
}

describe('Two answers at the same time', () => {
  test.each(pairs(verdicts))('settle an approval once: $names (M3)', async (pair) => {
    await race(
      (run) => run.ask(approval('a')),
      (word) => ({ confirmation: confirmation(word) }),
      pair,
    )
  })

  test.each(pairs(actions))('settle an elicitation once: $names (M3)', async (pair) => {
    await race(
      (run) => run.ask(elicitation('where')),
      (word) => ({ action: action(word) }),
      pair,
    )
  })
})

describe('Requests as resources', () => {
  test('are listed, read and answered at the session that asks and at all above it', async () => {
    await using server = await managedServer()
    const { client } = server
    const { parent, child, above, below } = await family(server)
    const asked = [above.ask(elicitation('where')), below.ask(approval('a')), above.ask(approval('b'))]
    for (const answer of asked) answer.catch(() => {})
    const list = async (id: string, query = {}) =>
      Requests.parse((await client.call('listRequests', { params: { id }, query })).body)
    const open = await list(parent)
    expect(open.map(({ session_id }) => session_id)).toEqual([parent, child, parent])
    expect(await list(child)).toEqual([open[1]])
    expect((await list(parent, { state: 'settled' })).length).toBe(0)
    const get = (id: string, request_id = '') => client.call('getRequest', { params: { id, request_id } })
    expect((await get(parent, open[1]?.id)).body).toEqual(open[1])
    expect((await get(child, open[1]?.id)).body).toEqual(open[1])
    expect(await get(child, open[0]?.id)).toMatchObject({ status: 404, code: 'unknown_request' })

    const params = { id: parent, request_id: open[1]?.id ?? '' }
    const body = { confirmation: 'approve-safe', reason: 'go' }
    const { status, body: settled } = await client.call('answerRequest', { params, body })
    const answer = { confirmation: 'approve-balanced', reason: 'go' }
    expect([status, settled]).toMatchObject([200, { id: params.request_id, state: 'answered', answer }])
    expect(await asked[1]).toEqual(answer)
    expect(await list(parent, { state: 'settled' })).toEqual([settled])
    expect((await list(parent, { state: 'all' })).map(({ state }) => state)).toEqual(['open', 'answered', 'open'])
    await below.end()
    await above.context.tasks.ended(child)
    expect((await get(parent, open[1]?.id)).body).toEqual(settled)
    expect(await client.call('answerRequest', { params, body })).toMatchObject({ code: 'request_settled' })
    expect((await client.call('getSession', { params: { id: parent } })).body).toMatchObject({
      safety_policy: 'balanced',
    })
  })

  test('refuse the answer to another kind of question, and stay open', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const limit = { content: { kind: 'continuation', max_iterations: 3 } } as const
    const asked = [run.ask(approval('a')), run.ask(elicitation('where')), run.ask(limit)]
    for (const answer of asked) answer.catch(() => {})
    const open = Requests.parse((await client.call('listRequests', { params: { id } })).body)
    const answer = (which: number, body: object) =>
      client.call('answerRequest', { params: { id, request_id: open[which]?.id ?? '' }, body })
    const verdict = { confirmation: 'approve' }
    const done = { action: 'accept' }
    for (const [which, body, paths] of [
      [0, done, ['body.confirmation', 'body.action']],
      [0, { ...verdict, ...done }, ['body.action']],
      [0, {}, ['body.confirmation']],
      [0, { confirmation: 'perhaps' }, ['body.confirmation']],
      [1, verdict, ['body.action', 'body.confirmation']],
      [1, { content: {} }, ['body.action']],
      [2, done, ['body.confirmation', 'body.action']],
    ] as const) {
      const refused = await answer(which, body)
      expect(refused).toMatchObject({ status: 400, code: 'invalid_request' })
      expect(Problem.parse(refused.body).details?.map(({ path }) => path)).toEqual(paths)
    }
    expect(Requests.parse((await client.call('listRequests', { params: { id } })).body)).toEqual(open)
    expect([await answer(0, verdict), await answer(1, done), await answer(2, verdict)]).toMatchObject(
      Array(3).fill({ status: 200 }),
    )
    expect(await Promise.all(asked)).toEqual([verdict, done, verdict])
  })

  test.each(['answerRequest', 'answerElicitation'] as const)(
    'refuse content that the form does not ask for: %s',
    async (endpoint) => {
      await using server = await managedServer()
      const { client } = server
      const { id, run } = await server.begin()
      const schema = { type: 'object', properties: { age: { type: 'integer' } }, required: ['age'] }
      const asked = run.ask({ content: { kind: 'elicitation', message: 'how old?', mode: 'form', schema } })
      const [request] = Requests.parse((await client.call('listRequests', { params: { id } })).body)
      const accept = (content: unknown) =>
        client.call(endpoint, { params: { id, request_id: request?.id ?? '' }, body: { action: 'accept', content } })
      for (const content of [{ age: 'seven' }, {}, null]) {
        const refused = await accept(content)
        expect(refused).toMatchObject({ status: 400, code: 'invalid_request' })
        expect(Problem.parse(refused.body).details?.map(({ path }) => path)).toEqual(['body.content.age'])
      }
      expect((await accept({ age: 7 })).status).toBe(200)
      expect(await asked).toEqual({ action: 'accept', content: { age: 7 } })
    },
  )

  test('make an inbox over all sessions, oldest first, in pages, with filters', async () => {
    await using server = await managedServer()
    const { client } = server
    const { parent, child, above, below } = await family(server)
    const { id: other, run } = await server.begin()
    const ask = async (of: PuppetRun, question: Parameters<PuppetRun['ask']>[0]) => {
      of.ask(question).catch(() => {})
      const id = of === run ? other : parent
      const open = Requests.parse((await client.call('listRequests', { params: { id } })).body)
      return open.at(-1)?.id
    }
    const ids = [
      await ask(above, approval('a')),
      await ask(run, elicitation('where')),
      await ask(below, approval('b')),
      await ask(run, approval('c')),
    ]
    const inbox = async (query = {}) =>
      Requests.parse((await client.call('listInbox', { query })).body).map(({ id }) => ids.indexOf(id))
    expect(await inbox()).toEqual([0, 1, 2, 3])
    expect(await inbox({ kind: 'approval' })).toEqual([0, 2, 3])
    expect(await inbox({ session: parent })).toEqual([0, 2])
    expect(await inbox({ session: child })).toEqual([2])
    expect(await inbox({ session: 'nobody' })).toEqual([])
    expect(await inbox({ agent: 'hand' })).toEqual([0, 1, 2, 3])
    expect(await inbox({ agent: 'chat' })).toEqual([])
    expect(await inbox({ created_after: '2999-01-01T00:00:00Z' })).toEqual([])
    expect(await inbox({ created_before: '2999-01-01T00:00:00Z', kind: 'elicitation' })).toEqual([1])

    const pages: number[][] = []
    for (let query: object | undefined = { limit: '3' }; query !== undefined; ) {
      const { body, headers } = await client.call('listInbox', { query: { ...query } })
      pages.push(Requests.parse(body).map(({ id }) => ids.indexOf(id)))
      const next = /^<([^>]+)>; rel="next"$/.exec(headers.get('link') ?? '')?.[1]
      query = next === undefined ? undefined : Object.fromEntries(new URL(next, client.url).searchParams)
    }
    expect(pages).toEqual([[0, 1, 2], [3]])

    await client.call('answerRequest', { params: { id: other, request_id: ids[1] ?? '' }, body: { action: 'decline' } })
    expect(await inbox()).toEqual([0, 2, 3])
    expect(await inbox({ state: 'settled' })).toEqual([1])
    await client.call('deleteSession', { params: { id: parent }, query: { wait: 'true' } })
    expect(await inbox({ state: 'all' })).toEqual([1, 3])
    expect((await client.call('listInbox', { query: { cursor: 'nonsense' } })).code).toBe('invalid_request')
  })
})
