import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Problem, Request, type Verdict } from '../../src/protocol/protocol.ts'
import type { Answer, Client } from '../server/client.ts'
import { approval, elicitation, type PuppetRun } from '../session-manager/test-agents.ts'
import { logOf } from './house.ts'
import { managedServer } from './managed-server.ts'

const Requests = z.array(Request)

async function openRequests(client: Client, id: string): Promise<readonly Request[]> {
  return Requests.parse((await client.call('listRequests', { params: { id } })).body)
}

function resume(client: Client, id: string, body: object): Promise<Answer> {
  return client.call('resume', { params: { id }, body })
}

/** The tool calls of the confirmations that a client has been shown, in order. */
async function confirmed(client: Client, id: string): Promise<readonly unknown[]> {
  const Confirmation = z.object({ tool_call: z.object({ id: z.string() }) })
  const events = (await logOf(client, id)).filter(({ type }) => type === 'tool_call_confirmation')
  return events.map((event) => Confirmation.parse(event).tool_call.id)
}

/** Who settled what, in order. */
async function settled(client: Client, id: string): Promise<readonly string[]> {
  const Settled = z.object({ request: Request, decider: z.string() })
  const events = (await logOf(client, id)).filter(({ type }) => type === 'request_settled')
  return events.map((event) => {
    const { request, decider } = Settled.parse(event)
    const { content } = request
    const name = content.kind === 'elicitation' ? content.message : 'tool_call' in content && content.tool_call.id
    return `${name} ${request.state} by ${decider}`
  })
}

const approve = { confirmation: 'approve' } as const

/** Lets everything pass once the session is autonomous, or allows the tool. */
function byPolicy(run: PuppetRun, tool: string): () => Verdict | undefined {
  return () => {
    const { safety_policy, permissions } = run.context.settings()
    return safety_policy === 'autonomous' || permissions.allow?.includes(tool) ? approve : undefined
  }
}

describe('Approvals', () => {
  test('open at once, are confirmed one at a time, and a verdict without an id answers that one', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const answers = ['a', 'b', 'c'].map((call) => run.ask(approval(call)))

    const open = await openRequests(client, id)
    expect(open.map(({ state, content }) => [state, content.kind])).toEqual(Array(3).fill(['open', 'approval']))
    expect(await confirmed(client, id)).toEqual(['a'])

    expect((await resume(client, id, approve)).status).toBe(200)
    expect(await answers[0]).toEqual(approve)
    expect(await confirmed(client, id)).toEqual(['a', 'b'])

    expect((await resume(client, id, { confirmation: 'reject', reason: 'no' })).status).toBe(200)
    expect(await answers[1]).toEqual({ confirmation: 'reject', reason: 'no' })
    expect(await confirmed(client, id)).toEqual(['a', 'b', 'c'])
    expect((await resume(client, id, approve)).status).toBe(200)
    expect(await openRequests(client, id)).toEqual([])
    expect(await resume(client, id, approve)).toMatchObject({ status: 409, code: 'no_pending_request' })
    expect(await settled(client, id)).toEqual(['a', 'b', 'c'].map((call) => `${call} answered by client`))
  })

  test('are answered in any order by their id or that of their call', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const answers = ['a', 'b', 'c'].map((call) => run.ask(approval(call)))
    const [, second] = await openRequests(client, id)

    expect((await resume(client, id, { ...approve, tool_call_id: 'c' })).status).toBe(200)
    expect(await answers[2]).toEqual(approve)
    expect((await resume(client, id, { ...approve, request_id: second?.id })).status).toBe(200)
    expect(await answers[1]).toEqual(approve)
    // The one that is shown is still the one that was shown first.
    expect(await confirmed(client, id)).toEqual(['a'])
    expect((await resume(client, id, approve)).status).toBe(200)
    expect(await answers[0]).toEqual(approve)

    expect(await resume(client, id, { ...approve, request_id: 'nobody' })).toMatchObject({ code: 'unknown_request' })
    expect(await resume(client, id, { ...approve, tool_call_id: 'z' })).toMatchObject({ code: 'no_pending_request' })
    expect(await resume(client, id, { confirmation: 'perhaps' })).toMatchObject({
      status: 400,
      code: 'invalid_request',
    })
  })

  test('are settled once, and whoever comes late is told who won', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const asked = run.ask(approval('a'))
    const [request] = await openRequests(client, id)
    const many = Array.from({ length: 20 }, (_, n) =>
      resume(client, id, { confirmation: n % 2 ? 'approve' : 'reject', request_id: request?.id, reason: `${n}` }),
    )
    const [won, ...more] = (await Promise.all(many)).filter(({ status }) => status === 200)
    expect(won).toBeDefined()
    expect(more).toEqual([])
    const late = await resume(client, id, { ...approve, request_id: request?.id })
    expect(late).toMatchObject({ status: 409, code: 'request_settled' })
    expect(Problem.parse(late.body).details?.[0]?.message).toMatch(/^answered by client at /)
    expect(['approve', 'reject']).toContain((await asked).confirmation)
    expect(await settled(client, id)).toEqual(['a answered by client'])
  })

  test.each([
    ['setSafetyPolicy', { safety_policy: 'autonomous' }],
    ['toggleApproval', undefined],
    ['setPermissions', { permissions: { allow: ['shell'] } }],
  ] as const)('are decided again after %s', async (endpoint, body) => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const answers = ['a', 'b'].map((call) => run.ask(approval(call, 'shell', byPolicy(run, 'shell'))))
    expect(await openRequests(client, id)).toHaveLength(2)
    expect((await client.call(endpoint, { params: { id }, ...(body && { body }) })).status).toBe(200)
    expect(await Promise.all(answers)).toEqual([approve, approve])
    expect(await settled(client, id)).toEqual(['a answered by policy', 'b answered by policy'])
    // Nobody was bothered with the second one.
    expect(await confirmed(client, id)).toEqual(['a'])
    expect(await resume(client, id, { ...approve, tool_call_id: 'b' })).toMatchObject({ code: 'request_settled' })
  })

  test('are decided again after a verdict that grants more than one call', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const tools = ['shell', 'shell', 'fetch']
    const answers = tools.map((tool, n) => run.ask(approval(`${n}`, tool, byPolicy(run, tool))))
    expect((await resume(client, id, { confirmation: 'approve-tool' })).status).toBe(200)
    expect((await answers[0])?.confirmation).toBe('approve-tool')
    expect(await answers[1]).toEqual(approve)
    expect(await settled(client, id)).toEqual(['0 answered by client', '1 answered by policy'])
    expect(await confirmed(client, id)).toEqual(['0', '2'])
    const { body } = await client.call('getSession', { params: { id } })
    expect(body).toMatchObject({ permissions: { allow: ['shell'] } })
    // An old verb, as existing clients say it.
    expect((await resume(client, id, { confirmation: 'approve-session' })).status).toBe(200)
    expect((await answers[2])?.confirmation).toBe('approve-autonomous')
    expect((await client.call('getSession', { params: { id } })).body).toMatchObject({ safety_policy: 'autonomous' })
  })

  test('are withdrawn when the run is stopped, and say so to whoever answers then', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const asked = run.ask(approval('a')).catch(() => 'withdrawn')
    const [request] = await openRequests(client, id)
    expect((await client.call('cancelRun', { params: { id } })).status).toBe(200)
    expect(await asked).toBe('withdrawn')
    expect(await openRequests(client, id)).toEqual([])
    const late = await resume(client, id, { ...approve, request_id: request?.id })
    expect(late).toMatchObject({ status: 409, code: 'request_settled' })
    expect(Problem.parse(late.body).message).toContain('withdrawn by stop')
  })
})

describe('Elicitations', () => {
  const say = (client: Client, id: string, body: object) => client.call('answerElicitation', { params: { id }, body })

  test('are answered by id, or without one when there is only one', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const answers = ['where', 'when'].map((question) => run.ask(elicitation(question)))
    expect(await openRequests(client, id)).toHaveLength(2)
    const events = (await logOf(client, id)).filter(({ type }) => type === 'elicitation_request')
    expect(events.map(({ message }) => message)).toEqual(['where', 'when'])

    expect(await say(client, id, { action: 'accept', content: {} })).toMatchObject({ code: 'no_pending_request' })
    expect(await say(client, id, { action: 'perhaps' })).toMatchObject({ status: 400 })
    const accepted = { action: 'accept', content: { day: 'Monday', hours: [9, 17] } }
    expect((await say(client, id, { ...accepted, elicitation_id: events[1]?.elicitation_id })).status).toBe(200)
    expect(await answers[1]).toEqual(accepted)
    expect((await say(client, id, { action: 'decline', content: null })).status).toBe(200)
    expect(await answers[0]).toEqual({ action: 'decline' })

    const late = await say(client, id, { ...accepted, elicitation_id: events[1]?.elicitation_id })
    expect(late).toMatchObject({ status: 409, code: 'request_settled' })
    expect(await say(client, id, accepted)).toMatchObject({ status: 409, code: 'no_pending_request' })
    expect(await settled(client, id)).toEqual(['when answered by client', 'where answered by client'])
  })

  test('are not answered by a verdict, nor approvals by content', async () => {
    await using server = await managedServer()
    const { client } = server
    const { id, run } = await server.begin()
    const asked = [run.ask(elicitation('where')), run.ask(approval('a'))]
    for (const answer of asked) answer.catch(() => {})
    const [question, call] = await openRequests(client, id)
    expect(await resume(client, id, { ...approve, request_id: question?.id })).toMatchObject({
      code: 'unknown_request',
    })
    const wrong = await say(client, id, { action: 'accept', content: {}, request_id: call?.id })
    expect(wrong).toMatchObject({ status: 404, code: 'unknown_request' })
    expect(await openRequests(client, id)).toHaveLength(2)
  })
})
