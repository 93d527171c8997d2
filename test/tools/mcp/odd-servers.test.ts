import { setImmediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { Toolset } from '../../../src/tools/tools.ts'
import { ToolsetFailure } from '../../../src/tools/tools.ts'
import { isAlive } from '../world.ts'
import { callContext, environment, expectGone, oddServer, pidsOf, started, toolsetOf } from './harness.ts'

const never = new AbortController().signal

async function failureOf(toolset: Toolset, signal = never): Promise<ToolsetFailure> {
  const error: unknown = await toolset.start(signal).catch((error: unknown) => error)
  if (error instanceof ToolsetFailure) return error
  throw new Error('the toolset did not fail as it should')
}

describe('a call', () => {
  test('T4 costs only itself when the server crashes, which the next call starts again', async () => {
    const toolset = await started(oddServer())
    const before = await pidsOf(toolset)
    const result = await toolset.call('crash', {}, callContext())
    expect(result).toEqual({ isError: true, output: 'The MCP server odd was ended by SIGKILL.' })
    expectGone(before)
    expect(toolset.tools.map(({ name }) => name)).toContain('pids')
    const after = await pidsOf(toolset)
    expect(after.filter((pid) => before.includes(pid))).toEqual([])
  })

  test('T4 fails together with a crash that another call brought about', async () => {
    const toolset = await started(oddServer())
    const results = await Promise.all(['hang', 'hang', 'crash'].map((name) => toolset.call(name, {}, callContext())))
    expect(results.every(({ isError }) => isError)).toBe(true)
    const revived = await Promise.all([pidsOf(toolset), pidsOf(toolset)])
    expect(revived[0]).toEqual(revived[1])
  })

  test('T4 ends when its time is over and tells the server so', async () => {
    const toolset = await started({ ...oddServer(), lifecycle: { call_timeout: '100ms' } })
    const result = await toolset.call('hang', {}, callContext())
    expect(result).toEqual({ isError: true, output: 'The MCP server odd did not answer within 0.1 seconds.' })
    const cancelled = await toolset.call('cancelled', {}, callContext())
    expect(JSON.parse(cancelled.output)).toHaveLength(1)
  })

  test('T4 finds a frozen server gone and starts it again', async () => {
    const lifecycle = { call_timeout: '2s', max_restarts: -1, backoff: { initial: '1ms' } }
    const toolset = await started({ ...oddServer('stubborn'), lifecycle })
    const before = await pidsOf(toolset)
    expect(await toolset.call('freeze', {}, callContext())).toMatchObject({ isError: true })
    // On a slow machine it may take more than one call until the server is there again.
    while ((await toolset.call('pids', {}, callContext())).isError);
    const after = await pidsOf(toolset)
    expect(after).not.toEqual(before)
    await toolset.close()
    expectGone([...before, ...after])
  })

  test('T3 ends with its run and tells the server so', async () => {
    const toolset = await started(oddServer())
    const stop = new AbortController()
    const call = toolset.call('hang', {}, callContext({ signal: stop.signal }))
    await pidsOf(toolset)
    const reason = new Error('the run was stopped')
    stop.abort(reason)
    await expect(call).rejects.toBe(reason)
    const cancelled = await toolset.call('cancelled', {}, callContext())
    expect(JSON.parse(cancelled.output)).toHaveLength(1)
  })

  test.each(['sampling/createMessage', 'roots/list'])(
    'lends a server nothing for %s, and takes its log',
    async (method) => {
      const toolset = await started(oddServer())
      const context = callContext()
      expect(await toolset.call('begs', { method }, context)).toEqual({ output: 'code -32601' })
      expect([context.told, context.asked]).toEqual([[], []])
    },
  )

  test('T4 stops a server that floods', async () => {
    const toolset = await started(oddServer())
    const before = await pidsOf(toolset)
    const result = await toolset.call('garbage', {}, callContext())
    expect(result).toEqual({ isError: true, output: 'The MCP server odd writes something else than messages.' })
    expect(await pidsOf(toolset)).not.toEqual(before)
    await toolset.close()
    expectGone(before)
  })

  test('T4 cuts a result of 10 MB and says so', async () => {
    const toolset = await started(oddServer())
    const { output, isError } = await toolset.call('big', {}, callContext())
    expect(isError).toBeUndefined()
    expect(output.length).toBeLessThan(1024 * 1024 + 100)
    expect(output).toMatch(/x\n\[9437184 more characters were cut\]$/)
  })

  test('T4 makes a result of an answer that is none', async () => {
    const toolset = await started(oddServer())
    const result = await toolset.call('nonsense', {}, callContext())
    expect(result).toEqual({ isError: true, output: 'The MCP server odd answered with something that is no answer.' })
  })

  test('T4 passes over a few lines that are no messages', async () => {
    const toolset = await started(oddServer())
    expect(await toolset.call('noise', {}, callContext())).toEqual({ output: 'still here' })
  })

  test('T1 leaves a changed list of tools behind', async () => {
    const toolset = await started(oddServer())
    expect(toolset.tools.map(({ name }) => name)).not.toContain('new')
    await toolset.call('change', {}, callContext())
    expect(toolset.tools.map(({ name }) => name)).toContain('new')
  })
})

describe('the lifecycle', () => {
  test.each(['strict', 'best-effort'] as const)('%s starts no server again until a run begins', async (profile) => {
    const toolset = await started({ ...oddServer(), lifecycle: { profile } })
    await toolset.call('crash', {}, callContext())
    expect(toolset.tools).toEqual([])
    const result = await toolset.call('pids', {}, callContext())
    expect(result.output).toBe('The MCP server odd was ended by SIGKILL and is not started again.')
    await toolset.start(never)
    expect((await pidsOf(toolset)).every(isAlive)).toBe(true)
  })

  test('on_failure leaves a server alone that ended in peace, always does not', async () => {
    const calm = await started(oddServer())
    expect(await calm.call('leave', {}, callContext())).toMatchObject({ isError: true })
    expect(await calm.call('pids', {}, callContext())).toMatchObject({ isError: true })
    const lifecycle = { restart: 'always', backoff: { initial: '1ms' } } as const
    const keen = await started({ ...oddServer(), lifecycle })
    expect(await keen.call('leave', {}, callContext())).toMatchObject({ isError: true })
    expect(await pidsOf(keen)).toHaveLength(2)
  })

  test('gives up after so many restarts in a row without an answer', async () => {
    const lifecycle = { max_restarts: 2, backoff: { initial: '1ms' } }
    const toolset = await started({ ...oddServer(), lifecycle })
    const crash = () => toolset.call('crash', {}, callContext())
    await crash()
    await crash()
    await pidsOf(toolset)
    await crash()
    await crash()
    await crash()
    expect(toolset.tools).toEqual([])
    expect((await crash()).output).toContain('is not started again')
  })
})

describe('a start', () => {
  test('fails with what the server said, without the secrets it was given', async () => {
    const where = environment({ SECRET: 's3cret-value' })
    const toolset = toolsetOf({ ...oddServer('dies'), env: { KEY: '${env.SECRET}' } }, where)
    const { message } = await failureOf(toolset)
    expect(message).toBe('the MCP server odd ended with exit code 3; it said: the secret *** is wrong')
  })

  test('fails when the program does not exist', async () => {
    const { message } = await failureOf(toolsetOf({ command: 'no-such-program-here' }))
    expect(message).toContain('no-such-program-here cannot be started: its command')
  })

  test('fails when the server says nothing in time, and leaves nothing behind', async () => {
    const toolset = toolsetOf({ ...oddServer('mute'), lifecycle: { startup_timeout: '300ms' } })
    const { message } = await failureOf(toolset)
    expect(message).toBe('the MCP server odd did not start in time')
    expect(toolset.tools).toEqual([])
  })

  test('ends with its signal, and T5 nothing of it is left after the close', async () => {
    const toolset = toolsetOf(oddServer('mute'))
    const stop = new AbortController()
    const start = toolset.start(stop.signal)
    await setImmediate()
    stop.abort(new Error('enough'))
    await expect(start).rejects.toThrow('enough')
    await toolset.close()
    expect(toolset.tools).toEqual([])
  })

  test('speaks the older protocol with a server that dies of the newer one', async () => {
    expect(await pidsOf(await started(oddServer('strict')))).toHaveLength(2)
  })

  test('refuses what is not supported', () => {
    expect(() => toolsetOf({ ref: 'docker:duckduckgo' })).toThrow(ToolsetFailure)
    expect(() => toolsetOf({ name: 'nothing' })).toThrow(ToolsetFailure)
    expect(() => toolsetOf({ remote: { url: 'ftp://example.com' } })).toThrow(ToolsetFailure)
    expect(() => toolsetOf({ remote: { url: 'http://example.com', transport_type: 'pigeon' } })).toThrow(ToolsetFailure)
    expect(() => toolsetOf({ remote: { url: 'http://example.com', oauth: {} } })).toThrow(ToolsetFailure)
  })
})

describe('a close', () => {
  test('T5 ends the process with all that it started', async () => {
    const toolset = await started(oddServer())
    const pids = await pidsOf(toolset)
    await toolset.close()
    expectGone(pids)
  })

  test('T5 ends a process that does not want to end, and the calls under way', async () => {
    const toolset = await started(oddServer('stubborn'))
    const pids = await pidsOf(toolset)
    const hanging = toolset.call('hang', {}, callContext())
    await pidsOf(toolset)
    await toolset.close()
    expect(await hanging).toEqual({ isError: true, output: 'The MCP server odd was stopped.' })
    expectGone(pids)
  })
})

describe('a server of the newer protocol', () => {
  test('T1 lists, calls and changes its tools', async () => {
    const toolset = await started(oddServer('modern'))
    expect(await pidsOf(toolset)).toHaveLength(2)
    await toolset.call('change', {}, callContext())
    expect(toolset.tools.map(({ name }) => name)).toContain('new')
  })

  test('has its questions put to the person behind the very call', async () => {
    const toolset = await started(oddServer('modern'))
    const contexts = ['red', 'blue', 'green'].map((colour) =>
      callContext({ elicit: async () => ({ action: 'accept', content: { colour } }) }),
    )
    const results = await Promise.all(contexts.map((context, nth) => toolset.call('ask', { nth }, context)))
    expect(contexts.map(({ asked }) => asked.map(({ message }) => message))).toEqual([
      ['{"nth":0}'],
      ['{"nth":1}'],
      ['{"nth":2}'],
    ])
    expect(results.map(({ output }) => JSON.parse(output))).toEqual(
      ['red', 'blue', 'green'].map((colour, nth) => ({
        inputResponses: { first: { action: 'accept', content: { colour } } },
        args: { nth },
      })),
    )
  })

  test('T4 does not count the time a person takes', async () => {
    const toolset = await started({ ...oddServer('modern'), lifecycle: { call_timeout: '500ms' } })
    const { promise: answered, resolve: answer } = Promise.withResolvers<{ action: 'decline' }>()
    const asking = callContext({ elicit: () => answered })
    const call = toolset.call('ask', {}, asking)
    expect(await toolset.call('hang', {}, callContext())).toMatchObject({ isError: true })
    expect(asking.asked).toHaveLength(1)
    answer({ action: 'decline' })
    expect(await call).not.toHaveProperty('isError')
  })

  test('T3 leaves with its run while a question is open', async () => {
    const toolset = await started(oddServer('modern'))
    const stop = new AbortController()
    const reason = new Error('the run was stopped')
    const elicit = () => {
      stop.abort(reason)
      return new Promise<never>(() => {})
    }
    await expect(toolset.call('ask', {}, callContext({ signal: stop.signal, elicit }))).rejects.toBe(reason)
  })
})
