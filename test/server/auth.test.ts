import { describe, expect, it } from 'vitest'
import { Bench } from './bench.ts'

const authToken = 'secret-Token'
const open = () => Bench.open({ server: { authToken } })

describe('A server with a token', () => {
  it.each([
    [undefined, 'missing Authorization header'],
    ['', 'missing Authorization header'],
    ['secret-Token', 'invalid Authorization header format'],
    ['bearer secret-Token', 'invalid Authorization header format'],
    ['Basic c2VjcmV0', 'invalid Authorization header format'],
    ['Bearer secret-token', 'invalid token'],
    ['Bearer secret-Token2', 'invalid token'],
    ['Bearer ', 'invalid Authorization header format'],
  ])('refuses %j', async (authorization, message) => {
    await using bench = await open()
    const answer = await bench.client.call('ping', authorization === undefined ? {} : { headers: { authorization } })
    expect(answer).toMatchObject({
      status: 401,
      body: { code: 'unauthorized', message, error: message, retryable: false },
    })
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
  })

  it('lets the token in, whatever the Host and the Origin', async () => {
    await using bench = await open()
    const headers = { authorization: `Bearer ${authToken}`, origin: 'https://elsewhere.example' }
    expect(await bench.client.call('ping', { headers })).toMatchObject({ status: 200, body: { status: 'ok' } })
  })

  it('lets everybody ask the probes, and nothing that only looks like them', async () => {
    await using bench = await open()
    expect((await bench.client.call('health')).status).toBe(200)
    expect((await bench.client.call('ready')).status).toBe(200)
    for (const path of ['/health/', '/health/x', '/api/health', '/HEALTH', '/api/ready', '/readyz']) {
      expect((await fetch(bench.client.url + path)).status, path).toBe(401)
    }
  })

  it('tells a stranger nothing about routes', async () => {
    await using bench = await open()
    expect((await fetch(`${bench.client.url}/no/such/route`)).status).toBe(401)
    expect((await fetch(`${bench.client.url}/api/sessions`, { method: 'DELETE' })).status).toBe(401)
  })

  it('answers a preflight without a token, and lets the page read a 401', async () => {
    await using bench = await Bench.open({ server: { authToken, corsOrigins: ['https://app.example'] } })
    const origin = 'https://app.example'
    const preflight = await fetch(`${bench.client.url}/api/sessions/x/title`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization' },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe(origin)
    expect(preflight.headers.get('access-control-allow-methods')).toContain('PATCH')
    const refused = await bench.client.call('ping', { headers: { origin } })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('access-control-allow-origin')).toBe(origin)
  })
})
