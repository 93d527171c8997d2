import { expect, it } from 'vitest'
import { carryOut, session, user } from './run-context.ts'
import { toolBench } from './tool-bench.ts'

it('tells an agent who its team is before it tells it who it is itself', async () => {
  const agents = {
    root: {
      model: 'played',
      instruction: 'Be kind.',
      sub_agents: ['poet'],
      handoffs: ['clerk'],
      toolsets: [{ type: 'todo' }],
    },
    poet: { model: 'played', description: 'Writes rhymes' },
    clerk: { model: 'played' },
  }
  const bench = toolBench([], { file: { agents } })
  await carryOut(bench.runtime, session([user('hi')]))
  const [request] = bench.requests
  const system = (request?.messages ?? []).filter(({ role }) => role === 'system').map(({ content }) => content)
  expect(system[0]).toContain('- poet: Writes rhymes')
  expect(system[1]).toMatch(/^- clerk$/m)
  expect(system[2]).toBe('Be kind.')
  expect(system[3]).toMatch(/^## Todos/)
  expect(request?.tools.map(({ name }) => name)).toEqual(expect.arrayContaining(['transfer_task', 'handoff']))
})

it('says nothing of a team to an agent that has none', async () => {
  const agents = { root: { model: 'played', instruction: 'Be kind.' }, poet: { model: 'played' } }
  const bench = toolBench([], { file: { agents } })
  await carryOut(bench.runtime, session([user('hi')]))
  expect(bench.requests[0]?.messages.map(({ content }) => content)).toEqual(['Be kind.', 'hi'])
  expect(bench.requests[0]?.tools).toEqual([])
})
