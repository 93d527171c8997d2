import { expect, test } from 'vitest'
import { callContext, environment, started, toolsetOf } from './harness.ts'
import { type Handler, type Message, said, serve } from './http-server.ts'

/** A server that answers with who is asking, and keeps who came in. */
async function doorkeeper() {
  const entered: string[] = []
  const url = await serve(
    (_, { headers }) => said(`${headers['x-user']} ${headers.authorization}`),
    ({ method }, { headers }) => {
      if (method === 'initialize') entered.push(`${headers['x-user']} ${headers.authorization}`)
      return undefined
    },
  )
  const headers = { 'X-User': 'user ${headers.X-Who}', Authorization: 'Bearer ${env.KEY}' }
  const toolset = toolsetOf({ remote: { url, headers } }, environment({ KEY: 'k1' }))
  return { entered, toolset }
}

const { signal } = new AbortController()

test('sends the configured headers, and those of the API request with each call', async () => {
  const { entered, toolset } = await doorkeeper()
  await toolset.start(signal)
  expect(entered).toEqual(['undefined Bearer k1'])
  const users = ['ada', 'bob'].map((who) => toolset.call('go', {}, callContext({ headers: { 'x-who': who } })))
  expect(await Promise.all(users)).toEqual([{ output: 'user ada Bearer k1' }, { output: 'user bob Bearer k1' }])
})

test('enters once for the runs of one person, and anew for those of another or of nobody', async () => {
  const { entered, toolset } = await doorkeeper()
  const ada = { 'x-who': 'ada' }
  await toolset.start(signal, ada)
  await toolset.start(signal, { ...ada, 'x-request-id': 'another' })
  expect(entered).toEqual(['user ada Bearer k1'])
  await toolset.start(signal, { 'X-WHO': 'bob' })
  await toolset.start(signal)
  expect(entered).toEqual(['user ada Bearer k1', 'user bob Bearer k1', 'undefined Bearer k1'])
  expect(await toolset.call('go', {}, callContext())).toEqual({ output: 'undefined Bearer k1' })
})

test('begins a new session when the server forgot the old one', async () => {
  let forgotten = false
  const url = await serve(
    () => said('welcome'),
    ({ method }, _, response) => {
      if (method === 'initialize') forgotten = false
      else if (forgotten) return response.writeHead(404).end()
      return undefined
    },
  )
  const toolset = await started({ name: 'far', remote: { url }, lifecycle: { backoff: { initial: '1ms' } } })
  forgotten = true
  const lost = await toolset.call('go', {}, callContext())
  expect(lost).toEqual({ isError: true, output: 'The MCP server far forgot the session.' })
  expect(await toolset.call('go', {}, callContext())).toEqual({ output: 'welcome' })
})

test('T4 gives up an answer that does not end', async () => {
  const url = await serve((_, __, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    const pour = () => {
      while (!response.destroyed && response.write(' '.repeat(1024 * 1024)));
      if (!response.destroyed) response.once('drain', pour)
    }
    pour()
    return undefined
  })
  const toolset = await started({ name: 'far', remote: { url } })
  const result = await toolset.call('go', {}, callContext())
  expect(result).toEqual({ isError: true, output: 'The MCP server far sent a message that is too long.' })
})

test('T4 fails a call whose stream ends without an answer', async () => {
  const url = await serve((_, __, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(': nothing to say\n\n')
    return undefined
  })
  const toolset = await started({ remote: { url } })
  expect(await toolset.call('go', {}, callContext())).toMatchObject({
    isError: true,
    output: expect.stringContaining('the connection ended before the answer came'),
  })
})

test.each([
  [401, 'refuses access with status 401'],
  [500, 'answered with status 500'],
])('fails to start where the answer is %i', async (status, reason) => {
  const refuse: Handler = (_, __, response) => response.writeHead(status).end('secret words')
  const toolset = toolsetOf({ name: 'far', remote: { url: await serve(refuse, refuse) } })
  await expect(toolset.start(new AbortController().signal)).rejects.toThrow(`the MCP server far ${reason}`)
})

test('T3 breaks the request of a call off that its run gives up', async () => {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>()
  const cancelled: Message[] = []
  const url = await serve(
    (_, __, response) => {
      response.once('close', close)
      arrive()
      return undefined
    },
    (message) => {
      if (message.method === 'notifications/cancelled') cancelled.push(message)
      return undefined
    },
  )
  const toolset = await started({ remote: { url } })
  const stop = new AbortController()
  const call = toolset.call('go', {}, callContext({ signal: stop.signal }))
  await arrived
  stop.abort(new Error('enough'))
  await expect(call).rejects.toThrow('enough')
  await closed
  await toolset.close()
  expect(cancelled).toHaveLength(1)
})
