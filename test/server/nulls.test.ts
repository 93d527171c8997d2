import { describe, expect, it } from 'vitest'
import { withoutNulls } from '../../src/server/nulls.ts'
import { Bench } from './bench.ts'

describe('A null in a body', () => {
  it('counts as a key that is not there', () => {
    expect(withoutNulls({ a: null, b: [{ c: null, d: 1 }, null], e: { f: null } })).toEqual({
      b: [{ d: 1 }, null],
      e: {},
    })
    expect(withoutNulls(null)).toBeNull()
  })

  it('is kept where the body is not ours to read', () => {
    const answer = { action: 'accept', content: { day: null }, elicitation_id: null }
    expect(withoutNulls(answer)).toEqual({ action: 'accept', content: { day: null } })
  })

  it('creates and runs a session as if nothing had been said', async () => {
    await using bench = await Bench.open()
    const nothing = { title: null, tools_approved: null, safety_policy: null, permissions: null, working_dir: null }
    const created = await bench.client.call('createSession', { body: nothing })
    expect(created).toMatchObject({ status: 200, body: { title: '' } })
    const { id } = await bench.ran()
    const title = await bench.client.call('setTitle', { params: { id }, body: { title: null } })
    expect(title).toMatchObject({ status: 200, body: { id, title: '' } })
  })
})
