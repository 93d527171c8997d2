import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { patientFetch } from '../../../src/tools/mcp/patient-fetch.ts'
import { httpServer } from '../../models/http-server.ts'

test('sends text with its headers, and gives the answer with its own', async () => {
  await using server = await httpServer(async (request, response) => {
    const { 'x-a': a, 'content-length': length, 'accept-encoding': encoding } = request.headers
    response.writeHead(201, { 'content-type': 'application/json', 'x-b': ['1', '2'] })
    response.end(JSON.stringify({ method: request.method, a, length, encoding, body: await text(request) }))
  })
  const response = await patientFetch(server.url, { method: 'POST', headers: { 'X-A': 'one' }, body: 'grün' })
  expect([response.status, response.headers.get('x-b')]).toEqual([201, '1, 2'])
  expect(await response.json()).toEqual({ method: 'POST', a: 'one', length: '5', encoding: 'identity', body: 'grün' })
})

test('follows no redirect, and knows answers without a body', async () => {
  await using server = await httpServer(({ url }, response) => {
    response.writeHead(url === '/none' ? 204 : 302, { location: '/none' }).end()
  })
  const moved = await patientFetch(server.url)
  expect([moved.status, moved.headers.get('location'), await moved.text()]).toEqual([302, '/none', ''])
  const none = await patientFetch(`${server.url}/none`)
  expect([none.status, none.body]).toEqual([204, null])
})

test('leaves with its signal, before the answer and within it', async () => {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<ServerResponse>()
  const { promise: begun, resolve: begin } = Promise.withResolvers<ServerResponse>()
  await using server = await httpServer((request, response) => {
    if (request.url === '/begin') begin(response)
    else arrive(response)
    if (request.url === '/begin') response.write('a piece')
  })
  const stop = new AbortController()
  const waiting = patientFetch(server.url, { signal: stop.signal })
  const left = once(await arrived, 'close')
  stop.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  await left
  await expect(patientFetch(server.url, { signal: stop.signal })).rejects.toThrow('enough')

  const later = new AbortController()
  const response = await patientFetch(`${server.url}/begin`, { signal: later.signal })
  const reader = response.body?.getReader()
  expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('a piece')
  const broken = once(await begun, 'close')
  later.abort()
  await expect(reader?.read()).rejects.toThrow()
  await broken
})

test('lets go of a body that nobody wants', async () => {
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  await using server = await httpServer((_, response) => {
    response.once('close', close).write('the first of many')
  })
  await (await patientFetch(server.url)).body?.cancel()
  await closed
})

test('says what the system says when there is nobody, or when they hang up', async () => {
  await expect(patientFetch('http://127.0.0.1:1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await using server = await httpServer((request, response) => {
    if (request.url === '/cut') response.write('half')
    setImmediate(() => response.destroy())
  })
  await expect(patientFetch(server.url)).rejects.toMatchObject({ code: 'ECONNRESET' })
  const cut = await patientFetch(`${server.url}/cut`)
  await expect(cut.text()).rejects.toThrow()
})
