import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { approval, elicitation } from '../session-manager/test-agents.ts'
import { AncestorClient, type AncestorEvent } from './ancestor-client.ts'
import { House, logOf, snapshotOf } from './house.ts'
import { type ManagedServer, managedServer } from './managed-server.ts'

const WithId = z.looseObject({ id: z.string() })

/** As lax as a Go decoder: keys in any case, whatever else there is. */
const AgentFile = z.looseObject({
  agents: z.array(
    z.looseObject({ Name: z.string(), description: z.string().optional(), model: z.string().optional() }),
  ),
})

const file = JSON.stringify({
  models: {
    scripted: {
      provider: 'scripted',
      model: 'echo',
      provider_opts: { script: [[{ reasoning: 'Hm. ' }, { text: 'You said {{last_user_message}}' }]] },
    },
  },
  agents: {
    root: { model: 'scripted', description: 'Says it again', welcome_message: 'Hello', instruction: 'Repeat.' },
    other: { model: 'scripted', description: 'Another', instruction: 'Repeat as well.' },
  },
})

async function newSession(client: AncestorClient, chosen: Parameters<AncestorClient['createSession']>[0] = {}) {
  const { status, body } = await client.createSession(chosen)
  expect(status).toBe(200)
  return WithId.parse(body)
}

function textOf(events: readonly AncestorEvent[]): string {
  return events.flatMap(({ type, content }) => (type === 'agent_choice' ? [String(content)] : [])).join('')
}

describe("The ancestor's client", () => {
  test('finds the agent, talks to it turn by turn with its whole history, and sees what it relies on', async () => {
    await using house = await House.open({ files: { agent: file } })
    const client = new AncestorClient(house.url)
    const { agents } = AgentFile.parse((await client.call('GET', '/api/agents/agent')).body)
    expect(agents.map(({ Name, description }) => [Name, description])).toEqual([
      ['root', 'Says it again'],
      ['other', 'Another'],
    ])
    expect(await client.call('GET', '/api/agents/agent/root/tools/count')).toEqual({
      status: 200,
      body: { available_tools: 0 },
    })
    const session = await newSession(client, { safety_policy: 'balanced' })
    expect(session).toMatchObject({ title: '', messages: null, tools_approved: false, safety_policy: 'balanced' })
    const { id } = session

    const history: { role: string; content: string }[] = []
    for (const said of ['one', 'two', 'three']) {
      history.push({ role: 'user', content: said })
      const events = await Array.fromAsync(client.run(id, 'agent', { messages: history }))
      history.push({ role: 'assistant', content: textOf(events) })
      expect(textOf(events)).toBe(`You said ${said}`)
      expect(events.filter(({ type }) => type === 'user_message')).toMatchObject([{ message: said, session_id: id }])
      const inOrder = [
        'team_info',
        'agent_info',
        'agent_choice_reasoning',
        'agent_choice',
        'token_usage',
        'stream_stopped',
      ]
      const places = inOrder.map((wanted) => events.findIndex(({ type }) => type === wanted))
      expect(places).toEqual(places.toSorted((a, b) => a - b))
      expect(places).not.toContain(-1)
      expect(events.at(-1)).toMatchObject({ type: 'stream_stopped', session_id: id, reason: 'normal' })
    }
    const { messages } = await snapshotOf(house.client, id)
    expect(messages?.map(({ message: { role, content } }) => ({ role, content }))).toEqual(history)
  })

  test('runs a named agent with another model, and with a bare list as early clients do', async () => {
    await using house = await House.open({ files: { agent: file } })
    const client = new AncestorClient(house.url)
    const { id } = await newSession(client)
    const messages = [{ role: 'user', content: 'hi' }]
    const named = await Array.fromAsync(client.run(id, 'agent/other', { messages, model: 'scripted' }))
    expect(named.find(({ type }) => type === 'agent_info')).toMatchObject({ agent_name: 'other' })
    expect(textOf(await Array.fromAsync(client.run(id, 'agent', messages)))).toBe('You said hi')
    const unknown = Array.fromAsync(client.run(id, 'agent/nobody', { messages }))
    await expect(unknown).rejects.toThrow('nobody')
  })

  test('lists, names and deletes sessions', async () => {
    await using house = await House.open({ files: { agent: file } })
    const client = new AncestorClient(house.url)
    const { id } = await newSession(client, { tools_approved: true })
    expect((await client.call('PATCH', `/api/sessions/${id}/title`, { title: 'A name' })).status).toBe(200)
    const { body } = await client.call('GET', '/api/sessions')
    const Listed = z.array(z.looseObject({ id: z.string(), title: z.string(), created_at: z.iso.datetime() }))
    expect(Listed.parse(body)).toMatchObject([{ id, title: 'A name' }])
    expect((await client.call('GET', `/api/sessions/${id}`)).body).toMatchObject({ tools_approved: true })
    expect((await client.call('DELETE', `/api/sessions/${id}`)).status).toBe(200)
    expect((await client.call('DELETE', `/api/sessions/${id}`)).status).toBe(404)
  })

  test('is told in its own way about routes that its server never had', async () => {
    await using house = await House.open({ files: { agent: file } })
    const client = new AncestorClient(house.url)
    const { id } = await newSession(client)
    for (const route of ['pause', 'undo', 'reset', 'mcp/prompts', 'toolsets/x/restart']) {
      expect((await client.call('POST', `/api/sessions/${id}/${route}`, {})).status).toBe(404)
    }
    expect((await client.call('POST', `/api/sessions/${id}/compact`, {})).status).toBe(409)
    expect((await client.call('GET', `/api/sessions/nobody/snapshot`)).body).toMatchObject({ code: 'unknown_session' })
  })

  test('steers and follows up with messages that have an empty role', async () => {
    await using server = await managedServer()
    const client = new AncestorClient(server.client.url)
    const { id, run } = await server.begin()
    const say = (route: string, content: string) =>
      client.call('POST', `/api/sessions/${id}/${route}`, { messages: [{ role: '', content, multi_content: null }] })
    expect((await say('steer', 'left')).status).toBe(202)
    expect((await say('followup', 'then')).status).toBe(202)
    expect(run.steering()).toEqual(['left'])
    expect(run.followUp()).toBe('then')
    await run.end()
    expect((await snapshotOf(server.client, id)).messages?.map(({ message }) => message)).toMatchObject([
      { role: 'user', content: 'go on' },
      { role: 'user', content: 'left' },
      { role: 'user', content: 'then' },
    ])
  })

  test('answers the only elicitation without saying which', async () => {
    await using server = await managedServer()
    const client = new AncestorClient(server.client.url)
    const { id, run } = await server.begin()
    const asked = run.ask(elicitation('where'))
    await shown(server, id, 'elicitation_request')
    const accepted = { action: 'accept', content: { place: 'here' } }
    const path = `/api/sessions/${id}/elicitation`
    expect(await client.call('POST', path, { ...accepted, elicitation_id: '' })).toEqual({ status: 200, body: null })
    expect(await asked).toEqual(accepted)
  })

  test('stops the run when it closes the connection', async () => {
    await using server = await managedServer()
    const client = new AncestorClient(server.client.url)
    const { id } = await newSession(client)
    const leave = new AbortController()
    const events = client.run(id, 'hand', { messages: [{ role: 'user', content: 'go' }] }, leave.signal)
    const reading = Array.fromAsync(events).catch(() => 'left')
    const run = await server.puppet.next()
    leave.abort()
    expect(await reading).toBe('left')
    await run.left
    expect(run.context.signal.aborted).toBe(true)
    const [stored] = z.array(z.looseObject({})).parse((await client.call('GET', `/api/sessions/${id}/runs`)).body)
    expect(stored).toMatchObject({ status: 'canceled', reason: 'canceled', canceled: { by: 'client_disconnect' } })
    expect((await logOf(server.client, id)).at(-1)).toMatchObject({ type: 'stream_stopped', reason: 'canceled' })
  })

  test.each([
    ['approve', 'approve', undefined],
    ['approve-balanced', 'approve-balanced', 'balanced'],
    ['approve-autonomous', 'approve-autonomous', 'autonomous'],
    ['approve-tool', 'approve-tool', undefined],
    ['reject', 'reject', undefined],
    ['approve-session', 'approve-autonomous', 'autonomous'],
    ['approve-safe', 'approve-balanced', 'balanced'],
    ['approve-safer', 'approve-balanced', 'balanced'],
  ])('answers a confirmation with %s', async (verb, understood, policy) => {
    await using server = await managedServer()
    const client = new AncestorClient(server.client.url)
    const { id, run } = await server.begin()
    const asked = run.ask(approval('call'))
    await shown(server, id, 'tool_call_confirmation')
    const answer = await client.call('POST', `/api/sessions/${id}/resume`, {
      confirmation: verb,
      reason: '',
      tool_name: '',
    })
    expect(answer).toEqual({ status: 200, body: { message: 'session resumed' } })
    expect((await asked).confirmation).toBe(understood)
    const { safety_policy, tools_approved, permissions } = await snapshotOf(server.client, id)
    expect(safety_policy).toBe(policy)
    expect(tools_approved).toBe(policy === 'autonomous')
    if (verb === 'approve-tool') expect(permissions?.allow).toEqual(['shell'])
  })
})

/** Waits until an event of a type is shown. */
async function shown(server: ManagedServer, id: string, type: string): Promise<void> {
  const query = { types: type, wait: '1m' }
  const { body } = await server.client.call('getEvents', {
    params: { id },
    query,
    headers: { accept: 'application/json' },
  })
  expect(body).toMatchObject({ events: [{ event: { type } }] })
}
