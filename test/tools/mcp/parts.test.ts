import { describe, expect, test } from 'vitest'
import { Toolset } from '../../../src/agent-file/toolset.ts'
import { IncomingHeaders } from '../../../src/tools/mcp/incoming-headers.ts'
import { readLifecycle } from '../../../src/tools/mcp/lifecycle.ts'
import { listTools } from '../../../src/tools/mcp/listed-tool.ts'
import type { McpDefinition } from '../../../src/tools/mcp/mcp-definition.ts'
import { limitMessages } from '../../../src/tools/mcp/message-bytes.ts'
import { Flood, MessageLines, messageLimit } from '../../../src/tools/mcp/message-lines.ts'
import { MessageRate } from '../../../src/tools/mcp/message-rate.ts'
import { toToolCallResult } from '../../../src/tools/mcp/tool-result.ts'

describe('a lifecycle', () => {
  test('waits twice as long each time, up to a limit', () => {
    const { backoffMs, ...rest } = readLifecycle()
    expect([1, 2, 3, 6, 7].map(backoffMs)).toEqual([1000, 2000, 4000, 32_000, 32_000])
    expect(rest).toEqual({
      required: false,
      restart: 'on_failure',
      maxRestarts: 5,
      startTimeoutMs: 30_000,
      callTimeoutMs: 600_000,
    })
  })

  test('takes what is said over what the profile says', () => {
    expect(readLifecycle({ profile: 'strict' })).toMatchObject({ required: true, restart: 'never' })
    expect(readLifecycle({ profile: 'strict', required: false, restart: 'always' })).toMatchObject({
      required: false,
      restart: 'always',
    })
    expect(readLifecycle({ max_restarts: -1, call_timeout: '0' })).toMatchObject({
      maxRestarts: Number.POSITIVE_INFINITY,
      callTimeoutMs: Number.POSITIVE_INFINITY,
    })
  })

  test('is read from an agent file as it stands', () => {
    const lifecycle = { backoff: { initial: '500ms', max: '1m', multiplier: 3, jitter: 0.5 }, startup_timeout: '5s' }
    const definition: McpDefinition = Toolset.parse({ type: 'mcp', command: 'x', lifecycle })
    const { backoffMs, startTimeoutMs } = readLifecycle(definition.lifecycle)
    expect(startTimeoutMs).toBe(5000)
    expect(backoffMs(2)).toBeGreaterThanOrEqual(1500)
    expect(backoffMs(2)).toBeLessThanOrEqual(2250)
  })
})

describe('the lines of a process', () => {
  const message = { jsonrpc: '2.0', method: 'notifications/message', params: { level: 'info', data: 'é' } }
  const bytes = Buffer.from(`${JSON.stringify(message)}\r\n`)

  test('are messages, however they are cut', () => {
    const lines = new MessageLines()
    const read = [...bytes, ...bytes].flatMap((byte) => [...lines.push(Buffer.of(byte))])
    expect(read).toEqual([message, message])
    expect([...lines.push(Buffer.concat([bytes, bytes, bytes]))]).toHaveLength(3)
  })

  test('end the patience when they are none', () => {
    const lines = new MessageLines()
    const rubbish = Buffer.from(`${'x'.repeat(400_000)}\n`)
    expect([...lines.push(rubbish), ...lines.push(rubbish), ...lines.push(bytes), ...lines.push(rubbish)]).toHaveLength(
      1,
    )
    expect(() => [...lines.push(rubbish), ...lines.push(rubbish)]).toThrow(Flood)
  })

  test('end the patience when they do not end', () => {
    const lines = new MessageLines()
    const half = Buffer.concat([Buffer.from('{'), Buffer.alloc(messageLimit / 2, 32)])
    expect([...lines.push(half)]).toEqual([])
    expect(() => [...lines.push(half)]).toThrow(Flood)
  })
})

describe('a body', () => {
  async function pass(events: boolean, chunks: readonly Buffer[]): Promise<number> {
    const source = ReadableStream.from(chunks).pipeThrough(limitMessages(events, () => {}))
    let size = 0
    for await (const chunk of source) size += chunk.length
    return size
  }

  const part = Buffer.alloc(messageLimit / 2, 'x')
  const end = Buffer.from('\r\n\r\n')

  test('may be as long as it likes when it is many events', async () => {
    expect(await pass(true, [part, end, part, end, part, end])).toBeGreaterThan(messageLimit)
  })

  test('may not hold one message that is too long', async () => {
    await expect(pass(true, [part, Buffer.from('\n'), part, end])).rejects.toThrow(Flood)
    await expect(pass(false, [part, end, part, end])).rejects.toThrow(Flood)
  })
})

test('the headers of a run are forgotten with its end, and not with the end of the one before', () => {
  const [first, second] = [new AbortController(), new AbortController()]
  const incoming = new IncomingHeaders()
  incoming.take({ key: 'one' }, first.signal)
  incoming.take({ key: 'two' }, second.signal)
  first.abort()
  expect(incoming.now).toEqual({ key: 'two' })
  second.abort()
  expect(incoming.now).toEqual({})
})

test('counts messages until there are too many', () => {
  const rate = new MessageRate()
  expect(Array.from({ length: 20_000 }, () => rate.exceeds()).includes(true)).toBe(false)
  expect(rate.exceeds()).toBe(true)
})

describe('a list of tools', () => {
  const inputSchema = { type: 'object' } as const

  test('has names that models take, each once', () => {
    const tools = ['a.b/c', 'a_b_c', '', 'x'.repeat(100)].map((name) => ({ name, inputSchema }))
    const listed = listTools(tools)
    expect([...listed.keys()]).toEqual(['a_b_c', 'x'.repeat(64)])
    expect(listed.get('a_b_c')?.definition.name).toBe('a.b/c')
  })

  test('leaves out tools that cannot be called or are too large', () => {
    const large = { ...inputSchema, description: 'x'.repeat(100_000) }
    const tools = [
      { name: 'task', inputSchema, execution: { taskSupport: 'required' } } as const,
      { name: 'large', inputSchema: large },
      { name: 'good', inputSchema },
    ]
    expect([...listTools(tools).keys()]).toEqual(['good'])
  })

  test('carries annotations and no more', () => {
    const annotations = { readOnlyHint: true, openWorldHint: false, title: 'T', other: 1 }
    expect(listTools([{ name: 'a', title: 'Shown', inputSchema, annotations }]).get('a')?.tool).toEqual({
      name: 'a',
      category: 'mcp',
      parameters: inputSchema,
      annotations: { title: 'Shown', readOnlyHint: true, openWorldHint: false },
      outputSchema: null,
    })
  })
})

describe('a result', () => {
  test('T4 has limits, and says what was cut', () => {
    const image = { type: 'image', data: 'A'.repeat(6 * 1024 * 1024), mimeType: 'image/png' } as const
    const text = { type: 'text', text: 'y'.repeat(700_000) } as const
    const result = toToolCallResult({
      content: [image, text, image, text],
      structuredContent: { a: text.text.repeat(2) },
    })
    expect(result.images).toHaveLength(1)
    expect(result.output.length).toBeLessThan(1_100_000)
    expect(result.output).toContain('[image/png of 6291456 characters was left out]')
    expect(result.output).toContain('[351424 more characters were cut]')
    expect(result.structuredContent).toBeUndefined()
  })

  test('keeps sound, documents and pictures apart', () => {
    const resource = (mimeType: string) =>
      ({ type: 'resource', resource: { uri: 'x://y/z.bin', mimeType, blob: 'QQ==' } }) as const
    const audio = { type: 'audio', data: 'QQ==', mimeType: 'audio/wav' } as const
    const content = [audio, resource('image/png'), resource('application/pdf')]
    expect(toToolCallResult({ content, isError: true, _meta: { a: 1 } })).toEqual({
      output: '',
      isError: true,
      meta: { a: 1 },
      audios: [{ data: 'QQ==', mimeType: 'audio/wav' }],
      images: [{ data: 'QQ==', mimeType: 'image/png' }],
      documents: [{ name: 'z.bin', uri: 'x://y/z.bin', mimeType: 'application/pdf', data: 'QQ==' }],
    })
  })
})
