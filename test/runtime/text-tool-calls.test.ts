import { describe, expect, it } from 'vitest'
import type { ModelFinish, ModelPart } from '../../src/models/models.ts'
import { textToolCalls } from '../../src/runtime/text-tool-calls.ts'
import { toolName } from '../../src/runtime/tool-name.ts'
import { Random } from '../crash/random.ts'
import { carryOut, session, stored, text, types, user } from './run-context.ts'
import { runtimeOf, scripted } from './test-agent.ts'

const usage = { input_tokens: 1, output_tokens: 1, cached_input_tokens: 0, cached_write_tokens: 0 }

function finish(finish_reason: ModelFinish['finish_reason'] = 'stop', more: Partial<ModelFinish> = {}): ModelFinish {
  return { type: 'finish', finish_reason, usage, cost: 0, tool_calls: [], ...more }
}

interface Read {
  readonly text: string
  /** Name and arguments of each call. */
  readonly calls: readonly string[]
  readonly reason: string
}

async function read(parts: readonly ModelPart[]): Promise<Read> {
  let ids = 0
  const out: ModelPart[] = []
  for await (const part of textToolCalls<never>(stream(parts), () => `id${++ids}`)) out.push(part)
  const end = out.at(-1)
  if (end?.type !== 'finish') throw new Error('the answer has no end')
  const calls = end.tool_calls.map((call) => `${call.function.name} ${call.function.arguments}`)
  const told = out.flatMap((part) =>
    part.type === 'tool_call' && part.id.startsWith('id') ? [`${part.name} ${part.arguments}`] : [],
  )
  expect(told).toEqual(calls.slice(calls.length - told.length))
  return { text: out.map((part) => (part.type === 'text' ? part.text : '')).join(''), calls, reason: end.finish_reason }
}

async function* stream(parts: readonly ModelPart[]): AsyncGenerator<ModelPart, void, undefined> {
  yield* parts
}

function said(...texts: readonly string[]): ModelPart[] {
  return texts.map((text) => ({ type: 'text', text }))
}

const block = '<tool_call>{"name": "look", "arguments": {"at": "Rome"}}</tool_call>'
const look = 'look {"at":"Rome"}'

describe('calls in a text', () => {
  it.each<readonly [string, string, string, readonly string[], string]>([
    ['one alone', block, '', [look], 'tool_calls'],
    ['one after words', `I look.\n${block}\n`, 'I look.\n', [look], 'tool_calls'],
    ['two', `${block}\n${block}`, '', [look, look], 'tool_calls'],
    ['words between two', `a${block}b${block}c`, 'abc', [look, look], 'tool_calls'],
    ['line breaks inside', '<tool_call>\n{"name":"x"}\n</tool_call>', '', ['x {}'], 'tool_calls'],
    [
      'arguments as a text',
      '<tool_call>{"name":"x","arguments":"{\\"a\\":1}"}</tool_call>',
      '',
      ['x {"a":1}'],
      'tool_calls',
    ],
    ['no end where nothing else is missing', block.slice(0, -12), '', [look], 'tool_calls'],
    ['no words at all', '', '', [], 'stop'],
    ['a tag in prose', 'Use <tool_call> tags.', 'Use <tool_call> tags.', [], 'stop'],
    ['the beginning of a tag at the end', 'a <tool_ca', 'a <tool_ca', [], 'stop'],
    ['JSON that is no call', '<tool_call>{"a":1}</tool_call> b', '<tool_call>{"a":1}</tool_call> b', [], 'stop'],
    ['broken JSON', '<tool_call>{"name":</tool_call>', '<tool_call>{"name":</tool_call>', [], 'stop'],
    ['a block in a block that is none', `<tool_call>{x ${block}`, '<tool_call>{x ', [look], 'tool_calls'],
  ])('are found: %s', async (_, whole, text, calls, reason) => {
    expect(await read([...said(whole), finish()])).toEqual({ text, calls, reason })
    expect(await read([...said(...whole), finish()])).toEqual({ text, calls, reason })
  })

  it('are text where the answer has calls of the proper kind, before or after', async () => {
    const call: ModelPart = { type: 'tool_call', id: 'p', name: 'proper', arguments: '{}' }
    const tool_calls = [{ id: 'p', type: 'function', function: { name: 'proper', arguments: '{}' } }]
    for (const parts of [
      [call, ...said('a ', block)],
      [...said('a ', block), call],
      [...said('a ', block.slice(0, 20)), call, ...said(block.slice(20))],
    ]) {
      const outcome = await read([...parts, finish('tool_calls', { tool_calls })])
      expect(outcome).toEqual({ text: `a ${block}`, calls: ['proper {}'], reason: 'tool_calls' })
    }
  })

  it('are dropped where the limit of the answer cut them', async () => {
    const cut = await read([...said('a ', block.slice(0, 30)), finish('length')])
    expect(cut).toEqual({ text: 'a ', calls: [], reason: 'length' })
    const second = await read([...said(`${block}${block.slice(0, 30)}`), finish('length')])
    expect(second).toEqual({ text: '', calls: [look], reason: 'length' })
  })

  it('are text where the model refused', async () => {
    expect((await read([...said(block), finish('refusal')])).text).toBe(block)
  })

  it('are told in the same way however the text is cut', async () => {
    const pieces = [
      block,
      '<tool_call>',
      '</tool_call>',
      '<',
      '<tool',
      '{"name":"x"}',
      '{"a":',
      'words ',
      '\n',
      '<tool_call> \n',
      '}',
      '<tool_call>{"name":"y","arguments":{"s":"<tool_call>"}}</tool_call>',
    ]
    const random = new Random(20261122)
    for (let round = 0; round < 1500; round++) {
      const whole = Array.from({ length: random.between(1, 8) }, () => random.pick(pieces) ?? '').join('')
      const reason = random.pick(['stop', 'length', 'refusal'] as const) ?? 'stop'
      const expected = await read([...said(whole), finish(reason)])
      const cut: string[] = []
      for (let at = 0; at < whole.length; ) {
        const length = random.between(1, round % 2 === 0 ? 4 : 30)
        cut.push(whole.slice(at, at + length))
        at += length
      }
      expect(await read([...said(...cut), finish(reason)]), JSON.stringify(cut)).toEqual(expected)
    }
  })

  it('hold back no more than what may be the beginning of a tag', async () => {
    const out: string[] = []
    for await (const part of textToolCalls(
      stream([...said('a <to', 'ol', 's> b < c', ' <tool_call>no', ' more'), finish()]),
      () => 'id',
    )) {
      if (part.type === 'text') out.push(part.text)
    }
    expect(out).toEqual(['a ', '<tools> b < c', ' <tool_call>no', ' more'])
  })
})

describe('an agent', () => {
  const tools = 'toolsets: [{type: think}]'

  it('carries out a call that its model wrote into the text, and does not show it', async () => {
    const thought = '<tool_call>{"name": "think", "arguments": {"thought": "hm"}}</tool_call>'
    const runtime = runtimeOf(scripted([[{ text: `Let me think. ${thought}`, chunk: 3 }], [{ text: 'Done.' }]], tools))
    const outcome = await carryOut(runtime, session([user('hi')]))
    expect(text(outcome)).toBe('Let me think. Done.')
    const [asked, result] = stored(outcome)
    expect(asked).toMatchObject({
      content: 'Let me think. ',
      finish_reason: 'tool_calls',
      tool_calls: [{ function: { name: 'think', arguments: '{"thought":"hm"}' } }],
    })
    expect(result).toMatchObject({ role: 'tool', tool_call_id: asked?.tool_calls?.[0]?.id })
    expect(types(outcome)).toContain('partial_tool_call')
    await runtime.close()
  })

  it('shows such a text as it is where there are no tools', async () => {
    const outcome = await carryOut(runtimeOf(scripted([[{ text: block }]])), session([user('hi')]))
    expect(text(outcome)).toBe(block)
  })

  it('stores names that every provider takes', async () => {
    const call = { tool_call: { name: 'think<|channel|>json', arguments: { thought: 'hm' } } }
    const runtime = runtimeOf(scripted([[call], [{ text: 'ok' }]], tools))
    const outcome = await carryOut(runtime, session([user('hi')]))
    expect(stored(outcome)[0]?.tool_calls?.[0]?.function.name).toBe('think')
    expect(stored(outcome)[1]).toMatchObject({ role: 'tool' })
    expect(stored(outcome)[1]?.is_error).not.toBe(true)
    await runtime.close()
  })
})

it.each([
  ['look', 'look'],
  ['look<|channel|>json', 'look'],
  [' look up', 'look'],
  ['my.tool', 'my.tool'],
  ['x'.repeat(70), 'x'.repeat(64)],
  ['…', 'unnamed'],
  ['', 'unnamed'],
])('reads the name "%s" as %s', (written, name) => {
  expect(toolName(written, (one) => one === 'my.tool')).toBe(name)
})
