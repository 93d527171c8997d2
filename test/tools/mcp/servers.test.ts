import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { McpDefinition } from '../../../src/tools/mcp/mcp-definition.ts'
import { createMcpToolset } from '../../../src/tools/mcp/mcp-toolset.ts'
import type { Toolset } from '../../../src/tools/tools.ts'
import { callContext, environment, everythingAt, expectGone, programOf, started, toolsetOf } from './harness.ts'

interface Served {
  readonly definition: McpDefinition
  stop?(): Promise<void>
}

const transports: Readonly<Record<string, () => Promise<Served>>> = {
  stdio: async () => ({ definition: { command: process.execPath, args: [programOf('everything'), 'stdio'] } }),
  'streamable HTTP': async () => {
    const { url, stop } = await everythingAt('streamableHttp')
    return { definition: { remote: { url, transport_type: 'streamable' } }, stop }
  },
  SSE: async () => {
    const { url, stop } = await everythingAt('sse')
    return { definition: { remote: { url, transport_type: 'sse' } }, stop }
  },
}

describe.each(Object.entries(transports))('server-everything over %s', (_, serve) => {
  let definition: McpDefinition
  let toolset: Toolset

  beforeAll(async () => {
    const { stop, ...served } = await serve()
    definition = served.definition
    toolset = createMcpToolset(definition, {
      workingDir: process.cwd(),
      dataDir: process.cwd(),
      variables: process.env,
    })
    await toolset.start(new AbortController().signal)
    return async () => {
      await toolset.close()
      await stop?.()
    }
  })

  test('T1 lists no tools before the start, those of the server after it and none after the end', async () => {
    const own = toolsetOf(definition)
    expect(own.tools).toEqual([])
    await own.start(new AbortController().signal)
    await own.start(new AbortController().signal)
    const echo = own.tools.find(({ name }) => name === 'echo')
    expect(echo).toMatchObject({ category: 'mcp', parameters: { type: 'object', required: ['message'] } })
    expect(echo?.annotations).toMatchObject({ readOnlyHint: true })
    expect(own.tools.map(({ name }) => name)).not.toContain('simulate-research-query')
    expect(own.instruction).toContain('Everything')
    await own.close()
    expect(own.tools).toEqual([])
  })

  test('passes on text, images, resources, links and structured results', async () => {
    const call = (name: string, args: object) => toolset.call(name, args, callContext())
    expect(await call('echo', { message: 'hello' })).toEqual({ output: 'Echo: hello' })
    const image = await call('get-tiny-image', {})
    expect(image.images).toEqual([{ data: expect.stringMatching(/^iVBOR/), mimeType: 'image/png' }])
    const blob = await call('get-resource-reference', { resourceType: 'Blob', resourceId: 1 })
    expect(blob.documents).toMatchObject([{ uri: 'demo://resource/dynamic/blob/1', data: expect.any(String) }])
    const text = await call('get-resource-reference', { resourceType: 'Text', resourceId: 2 })
    expect(text.documents).toMatchObject([
      { name: '2', mimeType: 'text/plain', text: expect.stringContaining('Resource 2') },
    ])
    const links = await call('get-resource-links', { count: 2 })
    expect(links.documents?.map(({ uri }) => uri)).toHaveLength(2)
    expect(links.output).toContain('demo://resource/dynamic/')
    const structured = await call('get-structured-content', { location: 'Chicago' })
    expect(structured.structuredContent).toMatchObject({ conditions: 'Light rain / drizzle' })
  })

  test('tells progress as live output', async () => {
    const context = callContext()
    const result = await toolset.call('trigger-long-running-operation', { duration: 0.1, steps: 2 }, context)
    expect(result.output).toContain('completed')
    expect(context.told[0]).toBe('1/2\n')
  })

  test('puts a form to a person and gives the answer back', async () => {
    const context = callContext({ elicit: async () => ({ action: 'accept', content: { name: 'Ada', check: true } }) })
    const result = await toolset.call('trigger-elicitation-request', {}, context)
    expect(result.output).toContain('- Name: Ada')
    expect(context.asked).toMatchObject([{ mode: 'form', schema: { type: 'object', properties: { name: {} } } }])
    const declined = await toolset.call(
      'trigger-elicitation-request',
      {},
      callContext({ elicit: async () => ({ action: 'decline' }) }),
    )
    expect(declined.output).toContain('declined')
  })

  test('sends a person to an address, before the call goes on or before it is made again', async () => {
    const context = callContext({ elicit: async () => ({ action: 'accept' }) })
    const url = 'https://example.com/consent'
    const asked = await toolset.call('trigger-url-elicitation', { url, elicitationId: 'e1' }, context)
    expect(asked.output).toContain('completed the URL elicitation')
    expect(context.asked).toEqual([{ mode: 'url', url, message: expect.any(String), server_elicitation_id: 'e1' }])
    const required = await toolset.call('trigger-url-elicitation', { url, errorPath: true }, context)
    expect(required.isError).toBeUndefined()
    expect(context.asked.map((question) => question.url)).toEqual([url, 'https://modelcontextprotocol.io', url])
  })

  test('T2 makes results of unknown tools, wrong arguments and what the server complains about', async () => {
    expect(await toolset.call('no-such-tool', {}, callContext())).toMatchObject({ isError: true })
    expect(await toolset.call('get-sum', { a: 1 }, callContext())).toMatchObject({ isError: true })
    expect(await toolset.call('get-sum', { a: 1, b: 'two' }, callContext())).toMatchObject({ isError: true })
  })

  test('T3 leaves a call at once when its run stops, and the next call is answered', async () => {
    const stop = new AbortController()
    const reason = new Error('stopped')
    const context = callContext({ signal: stop.signal, output: () => stop.abort(reason) })
    const call = toolset.call('trigger-long-running-operation', { duration: 200, steps: 2000 }, context)
    await expect(call).rejects.toBe(reason)
    expect(await toolset.call('echo', { message: 'on' }, callContext())).toEqual({ output: 'Echo: on' })
    await expect(toolset.call('echo', { message: 'late' }, context)).rejects.toBe(reason)
  })

  test('T5 can be closed twice and started again', async () => {
    const own = await started(definition)
    await Promise.all([own.close(), own.close()])
    await own.close()
    expect(await own.call('echo', { message: 'x' }, callContext())).toMatchObject({ isError: true })
    await own.start(new AbortController().signal)
    expect(await own.call('echo', { message: 'again' }, callContext())).toEqual({ output: 'Echo: again' })
  })
})

describe('a process', () => {
  test('sees only what is configured and what a process needs', async () => {
    const where = environment({ KEY: 'from outside', OTHER: 'unseen', QUARTERDECK_TOKEN: 'ours' })
    const env = {
      GIVEN: 'key is ${env.KEY}',
      SAME: '$KEY-${KEY}',
      STOLEN: '${env.QUARTERDECK_TOKEN}$QUARTERDECK_TOKEN',
    }
    const toolset = await started({ command: process.execPath, args: [programOf('everything')], env }, where)
    const { output } = await toolset.call('get-env', {}, callContext())
    const { PATH, HOME } = process.env
    const SAME = 'from outside-from outside'
    expect(JSON.parse(output)).toEqual({ PATH, HOME, GIVEN: 'key is from outside', SAME, STOLEN: '' })
  })
})

describe('server-filesystem', () => {
  test('works in the directory that is configured, from where the session works', async () => {
    const where = environment({ PART: 'below' })
    mkdirSync(join(where.workingDir, 'below'))
    writeFileSync(join(where.workingDir, 'below', 'note.txt'), 'found')
    const definition = { command: process.execPath, args: [programOf('filesystem'), '.'], working_dir: './$PART' }
    const read = await (await started(definition, where)).call('read_text_file', { path: 'note.txt' }, callContext())
    expect(read.output).toBe('found')
  })

  test('reads and writes files where the session works', async () => {
    const where = environment()
    writeFileSync(join(where.workingDir, 'note.txt'), 'written before')
    const toolset = await started({ command: process.execPath, args: [programOf('filesystem'), '.'] }, where)
    const read = await toolset.call('read_text_file', { path: 'note.txt' }, callContext())
    expect(read).toMatchObject({ output: 'written before', structuredContent: { content: 'written before' } })
    await toolset.call('write_file', { path: 'new.txt', content: 'from a tool' }, callContext())
    const listed = await toolset.call('list_directory', { path: '.' }, callContext())
    expect(listed.output).toContain('[FILE] new.txt')
    const outside = await toolset.call('read_text_file', { path: '/etc/hostname' }, callContext())
    expect(outside).toMatchObject({ isError: true, output: expect.stringContaining('denied') })
  })
})

describe('server-memory', () => {
  test('keeps what it is told from one start to the next', async () => {
    const where = environment()
    const env = { MEMORY_FILE_PATH: join(where.dataDir, 'memory.jsonl') }
    const toolset = await started({ command: process.execPath, args: [programOf('memory')], env }, where)
    const entities = [{ name: 'Ada', entityType: 'person', observations: ['counts'] }]
    expect(await toolset.call('create_entities', { entities }, callContext())).not.toHaveProperty('isError')
    await toolset.close()
    await toolset.start(new AbortController().signal)
    const graph = await toolset.call('read_graph', {}, callContext())
    expect(graph.structuredContent).toMatchObject({ entities })
  })
})

describe('a server that is reached over the network', () => {
  test('T4 costs the call under way when it dies, and is found again when it is back', async () => {
    const server = await everythingAt('streamableHttp')
    onTestFinished(server.stop)
    const lifecycle = { backoff: { initial: '1ms' } }
    const toolset = await started({ name: 'far', remote: { url: server.url }, lifecycle })
    const context = callContext({ output: () => server.process.kill('SIGKILL') })
    const result = await toolset.call('trigger-long-running-operation', { duration: 200, steps: 2000 }, context)
    expect(result).toEqual({ isError: true, output: expect.stringContaining('The MCP server far cannot be reached') })
    expectGone([server.process.pid ?? 0])
    const away = await toolset.call('echo', { message: 'x' }, callContext())
    expect(away).toEqual({ isError: true, output: expect.stringContaining('connection was refused') })
    onTestFinished((await everythingAt('streamableHttp', server.port)).stop)
    expect(await toolset.call('echo', { message: 'back' }, callContext())).toEqual({ output: 'Echo: back' })
  })

  test('T4 is found again over SSE when it is back', async () => {
    const server = await everythingAt('sse')
    onTestFinished(server.stop)
    const lifecycle = { backoff: { initial: '1ms' } }
    const remote = { url: server.url, transport_type: 'sse' }
    const toolset = await started({ name: 'far', remote, lifecycle })
    const context = callContext({ output: () => server.process.kill('SIGKILL') })
    const result = await toolset.call('trigger-long-running-operation', { duration: 200, steps: 2000 }, context)
    // Which of its two connections is seen to break first is a matter of chance.
    const gone = /^The MCP server far (closed the connection|cannot be reached)/
    expect(result).toEqual({ isError: true, output: expect.stringMatching(gone) })
    onTestFinished((await everythingAt('sse', server.port)).stop)
    expect(await toolset.call('echo', { message: 'back' }, callContext())).toEqual({ output: 'Echo: back' })
  })
})
