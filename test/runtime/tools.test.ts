import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SafetyPolicy } from '../../src/protocol/protocol.ts'
import type { Question, RunSettings } from '../../src/runtime/runtime.ts'
import { oddServer } from '../tools/mcp/harness.ts'
import { isAlive } from '../tools/world.ts'
import { carryOut, type SessionOptions, session, text, types, user, warnings } from './run-context.ts'
import { calls, command, person, sh, systemText, toolBench, toolMessages } from './tool-bench.ts'

const shell = { toolsets: [{ type: 'shell' }] }
const files = { toolsets: [{ type: 'filesystem' }] }

const free: SessionOptions = { settings: { safety_policy: 'autonomous' } }
const begin = (options: SessionOptions = free) => session([user('begin')], options)

/** A process that starts another, tells the numbers of both and stays. */
const stays = 'sleep 1000 & echo "pids $$ $!"; wait'

function pidsIn(output: string): readonly number[] {
  const [, ...pids] = /pids (\d+) (\d+)/.exec(output) ?? []
  return pids.map(Number)
}

describe('the calls of one answer', () => {
  it('run at the same time, and their results are stored in the order in which the model asked', async () => {
    const waitFor = (file: string) => `until [ -e ${file} ]; do sleep 0.01; done`
    const first = `touch begun; ${waitFor('ended')}; echo first`
    const second = `${waitFor('begun')}; echo second; touch ended`
    const bench = toolBench([[sh(first), sh(second)]], { agent: shell })
    const outcome = await carryOut(bench.runtime, begin())
    expect(toolMessages(outcome).map(({ content }) => content)).toEqual(['first\n', 'second\n'])
    expect(bench.results).toEqual(['first\n', 'second\n'])
    const [asked] = bench.requests[1]?.messages.filter(({ role }) => role === 'assistant') ?? []
    expect(toolMessages(outcome).map((message) => message.tool_call_id)).toEqual(asked?.tool_calls?.map(({ id }) => id))
    expect(text(outcome)).toBe('done')
  })

  it('become results that the model can act on when they are wrong', async () => {
    const wrong = [calls('shel', { cmd: 'ls' }), calls('shell'), calls('shell', { cmd: ['a', 'b'] })]
    const bench = toolBench([wrong], { agent: shell })
    const outcome = await carryOut(bench.runtime, begin())
    expect(bench.results).toEqual([
      'There is no tool called "shel". There are: shell.',
      expect.stringContaining('The arguments are not valid: missing: cmd.'),
      expect.stringContaining('The arguments are not valid: cmd:'),
    ])
    expect(toolMessages(outcome).map(({ is_error }) => is_error)).toEqual([true, true, true])
    expect(types(outcome).filter((type) => type === 'tool_call')).toHaveLength(1)
    expect(types(outcome).filter((type) => type === 'tool_call_response')).toHaveLength(3)
  })

  it('are repaired where their meaning is plain', async () => {
    const strange = [
      calls('read_multiple_files', { paths: 'one.txt', json: null }),
      calls('read_file', { path: 'one.txt', line: '1' }),
    ]
    const bench = toolBench([strange], { agent: files })
    bench.write('one.txt', 'uno')
    const outcome = await carryOut(bench.runtime, begin())
    expect(bench.results).toEqual([expect.stringContaining('uno'), 'uno'])
    const called = outcome.events.flatMap((event) => (event.type === 'tool_call' ? [event.tool_call.function] : []))
    expect(called[0]).toEqual({ name: 'read_multiple_files', arguments: '{"paths":["one.txt"]}' })
  })

  it('may name an argument as models like to', async () => {
    const named = [calls('shell', { command: 'echo one' }), calls('shell', { cmd: 'echo two', command: 'x' })]
    const bench = toolBench([named], { agent: shell })
    const outcome = await carryOut(bench.runtime, begin())
    expect(bench.results).toEqual(['one\n', 'two\n'])
    const called = outcome.events.flatMap((event) => (event.type === 'tool_call' ? [event.tool_call.function] : []))
    expect(called.map((call) => call.arguments)).toEqual(['{"cmd":"echo one"}', '{"cmd":"echo two"}'])
  })

  it('that say nothing say so, and that say too much are an excerpt of a file that goes with the runtime', async () => {
    const bench = toolBench([[sh('true'), sh('seq 1 30000')]], { agent: shell })
    await carryOut(bench.runtime, begin())
    const [nothing, much = ''] = bench.results
    expect(nothing).toBe('(no output)')
    expect(much.length).toBeLessThan(25_000)
    const [, path = ''] = /all of it is in (\S+)\]/.exec(much) ?? []
    expect(readFileSync(path, 'utf8')).toMatch(/^1\n2\n[\s\S]*29999\n30000\n$/)
    await bench.runtime.close()
    expect(existsSync(path)).toBe(false)
  })

  it('tell what they write while they run', async () => {
    const bench = toolBench([[sh('echo one; until [ -e go ]; do sleep 0.01; done; echo two')]], { agent: shell })
    const outcome = await carryOut(bench.runtime, begin(), (event) => {
      if (event.type === 'tool_call_output' && event.output.includes('one')) bench.write('go', '')
    })
    const told = outcome.events.flatMap((event) => (event.type === 'tool_call_output' ? [event.output] : []))
    expect(told.join('')).toBe('one\ntwo\n')
    expect(types(outcome).indexOf('tool_call')).toBeLessThan(types(outcome).indexOf('tool_call_output'))
    expect(types(outcome).lastIndexOf('tool_call_output')).toBeLessThan(types(outcome).indexOf('tool_call_response'))
  })

  it('hand images on to the model', async () => {
    const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII='
    const turns = [[sh(`echo ${png} | base64 -d > a.png`)], [calls('read_file', { path: 'a.png' })]]
    const limits = { max_tool_result_tokens: 2 }
    const bench = toolBench(turns, { agent: { toolsets: [{ type: 'shell' }, { type: 'filesystem' }], ...limits } })
    const outcome = await carryOut(bench.runtime, begin())
    const picture = { type: 'document', document: { mime_type: 'image/png', source: { inline_data: png } } }
    const [, stored] = toolMessages(outcome)
    expect(stored?.multi_content).toEqual([{ type: 'text', text: stored?.content }, picture])
    // The limit is for text.
    expect(bench.requests[2]?.messages.at(-1)).toMatchObject({
      content: expect.stringContaining('characters left out'),
      multi_content: [picture],
    })
  })

  it('hand sound on, and links to resources as such', async () => {
    const odd = { type: 'mcp', ...oddServer() }
    const bench = toolBench([[calls('odd_sounds')]], { agent: { toolsets: [odd] } })
    const [message] = toolMessages(await carryOut(bench.runtime, begin()))
    expect(message?.multi_content).toEqual([
      { type: 'text', text: '[resource score: x://score]' },
      { type: 'document', document: { mime_type: 'audio/wav', source: { inline_data: 'UklGRg==' } } },
      { type: 'document', document: { name: 'score', mime_type: 'text/plain' } },
    ])
  })

  it('all have a result when one of them meets a defect, which then ends the run', async () => {
    const bench = toolBench([[sh('rm -r x'), sh('echo fine')]], { agent: shell })
    // Nobody can be asked in this session, though it says so.
    const outcome = await carryOut(bench.runtime, begin({ settings: { safety_policy: 'balanced' } }))
    expect(outcome.error).toMatchObject({ message: 'nobody is asked anything here' })
    const [defect, fine] = toolMessages(outcome)
    expect(defect).toMatchObject({ is_error: true, content: expect.stringContaining('defect') })
    expect(fine).toMatchObject({ content: 'fine\n' })
  })

  it('stop the run when the model repeats them', async () => {
    const again = [sh('echo again')]
    const agent = { ...shell, max_consecutive_tool_calls: 2 }
    const bench = toolBench([again, again, again], { agent })
    const outcome = await carryOut(bench.runtime, begin())
    expect(outcome.error).toMatchObject({ code: 'loop_detected', reason: 'loop_detected' })
    expect(toolMessages(outcome)).toHaveLength(2)
  })

  it.each(['followUps', 'steering'] as const)(
    'do not stop the run when new messages lead to the same (%s)',
    async (kind) => {
      const again = [sh('echo again')]
      const agent = { ...shell, max_consecutive_tool_calls: 2 }
      const turns =
        kind === 'followUps' ? [again, [{ text: 'so' }], again, [{ text: 'so' }], again] : [again, again, again]
      const bench = toolBench(turns, { agent })
      const talk = begin()
      if (kind === 'followUps') talk.followUps.push(user('and now?'), user('and now?'))
      const outcome = await carryOut(bench.runtime, talk, ({ type }) => {
        if (kind === 'steering' && type === 'tool_call_response') talk.steering.push(user('look again'))
      })
      expect(outcome).toMatchObject({ reason: 'normal', error: undefined })
      expect(toolMessages(outcome)).toHaveLength(3)
    },
  )

  it('do not stop the run while the model looks after its background tasks', async () => {
    const looks = Array.from({ length: 6 }, () => [calls('bg_list_background_agents')])
    const bench = toolBench(looks, { agent: { toolsets: [{ type: 'background_agents', name: 'bg' }] } })
    const outcome = await carryOut(bench.runtime, begin())
    expect(outcome).toMatchObject({ reason: 'normal', error: undefined })
    expect(toolMessages(outcome)).toHaveLength(6)
  })

  it('stop the run also when a look at background tasks comes with each', async () => {
    const again = [calls('list_background_agents'), sh('echo again')]
    const agent = { toolsets: [{ type: 'background_agents' }, { type: 'shell' }], max_consecutive_tool_calls: 2 }
    const bench = toolBench([again, [calls('list_background_agents')], again, again], { agent })
    const outcome = await carryOut(bench.runtime, begin())
    expect(outcome.error).toMatchObject({ code: 'loop_detected' })
    expect(toolMessages(outcome)).toHaveLength(5)
  })
})

describe('a stop in the middle of a batch', () => {
  const batch = [sh(stays), sh('echo quick'), sh('rm -r never')]

  it('leaves a result for every call and nothing that a command started', async () => {
    const bench = toolBench([batch], { agent: shell, file: { permissions: { ask: ['shell:cmd=rm*'] } } })
    const talk = begin({
      answer: () => new Promise(() => {}),
      settings: { permissions: { allow: ['shell:cmd=sleep*', 'shell:cmd=echo*'] } },
    })
    let pids: readonly number[] = []
    const outcome = await carryOut(bench.runtime, talk, (event) => {
      if (event.type !== 'tool_call_output' || !event.output.includes('pids')) return
      pids = pidsIn(event.output)
      expect(pids.map(isAlive)).toEqual([true, true])
      talk.stop()
    })
    expect(outcome).toMatchObject({ reason: 'canceled', error: undefined })
    expect(pids.map(isAlive)).toEqual([false, false])
    const results = toolMessages(outcome)
    expect(results).toHaveLength(3)
    for (const place of [0, 2])
      expect(results[place]).toMatchObject({ is_error: true, content: expect.stringContaining('stopped') })
    expect(types(outcome).filter((type) => type === 'tool_call_response')).toHaveLength(3)
    expect(bench.requests).toHaveLength(1)
  })

  it('takes along what runs when the reader leaves without a signal', async () => {
    const bench = toolBench([batch], { agent: shell, file: { permissions: { ask: ['shell:cmd=rm*'] } } })
    const settings = { permissions: { allow: ['shell:cmd=sleep*', 'shell:cmd=echo*'] } }
    const { context } = session([user('begin')], { untitled: true, answer: () => new Promise(() => {}), settings })
    let pids: readonly number[] = []
    for await (const event of bench.runtime.run(context)) {
      if (event.type === 'tool_call_output') pids = pidsIn(event.output)
      if (pids.length > 0) break
    }
    expect(pids.map(isAlive)).toEqual([false, false])
  })

  it('tells one response of a call that ended before its hooks did', async () => {
    const hooks = { post_tool_use: [{ hooks: [command('touch hooked; sleep 1000')] }] }
    const bench = toolBench([[sh('echo over')]], { agent: { ...shell, hooks } })
    const talk = begin()
    const outcome = await carryOut(bench.runtime, talk, (event) => {
      if (event.type === 'hook_started') talk.stop()
    })
    expect(outcome.reason).toBe('canceled')
    expect(types(outcome).filter((type) => type === 'tool_call_response')).toHaveLength(1)
    expect(toolMessages(outcome)).toMatchObject([{ content: 'over\n' }])
  })
})

describe('a call that must be asked about', () => {
  const removes = toolBenchOf('rm -rf old')

  function toolBenchOf(cmd: string) {
    return (more: object = {}) => toolBench([[sh(cmd)]], { agent: shell, file: more })
  }

  it('is put to a person with its label and the reason for it', async () => {
    const { asked, options } = person({ confirmation: 'approve' }, { safety_policy: 'balanced' })
    const bench = removes()
    const outcome = await carryOut(bench.runtime, begin(options))
    expect(asked).toMatchObject([
      {
        tool_call: { function: { name: 'shell', arguments: '{"cmd":"rm -rf old"}' } },
        tool_definition: { name: 'shell', category: 'shell' },
        metadata: {
          safety_label: 'destructive',
          blast_radius: expect.any(String),
          reason: expect.stringMatching(/\S/),
        },
      },
    ])
    expect(types(outcome)).toContain('tool_call')
    expect(bench.results).toEqual(['(no output)'])
  })

  it('is not run when the person says no, and the model reads why', async () => {
    const { options } = person({ confirmation: 'reject', reason: 'keep the old ones' })
    const bench = removes()
    bench.write('old/file', '')
    const outcome = await carryOut(bench.runtime, begin(options))
    expect(bench.results).toEqual(['The user rejected the call: keep the old ones'])
    expect(types(outcome)).not.toContain('tool_call')
    expect(existsSync(join(bench.root, 'old/file'))).toBe(true)
    expect(outcome.reason).toBe('normal')
  })

  it.each<[string, SafetyPolicy, object, string]>([
    ['a rule of the file', 'autonomous', { deny: ['shell:cmd=rm*'] }, 'The rule "shell:cmd=rm*" of the team decides.'],
    ['a restricted session', 'restricted', {}, 'The call was not allowed: '],
  ])('is refused by %s without a question', async (_, safety_policy, permissions, reason) => {
    const bench = removes({ permissions })
    await carryOut(bench.runtime, begin({ settings: { safety_policy } }))
    expect(bench.results).toEqual([expect.stringContaining(reason)])
  })

  it('is refused where nobody can be asked', async () => {
    const bench = removes()
    await carryOut(bench.runtime, begin({ settings: { interactive: false } }))
    expect(bench.results).toEqual([expect.stringContaining('nobody can be asked')])
  })

  it('is not asked about when the policy knows that it only reads', async () => {
    const bench = toolBench([[sh('ls')]], { agent: shell })
    bench.write('seen', '')
    await carryOut(bench.runtime, begin({ settings: { safety_policy: 'balanced' } }))
    expect(bench.results).toEqual(['seen\n'])
  })

  it.each<[string, Partial<RunSettings>, string]>([
    ['runs', { safety_policy: 'autonomous' }, '(no output)'],
    [
      'is refused',
      { permissions: { deny: ['shell'] } },
      'The call was not allowed: The rule "shell" of the session decides.',
    ],
  ])('%s as soon as changed settings say so, while it waits', async (_, change, result) => {
    let settings: Partial<RunSettings> = {}
    const bench = removes()
    const options: SessionOptions = {
      get settings() {
        return settings
      },
      answer: async (question) => {
        if (!('decide' in question)) throw new Error('it cannot be decided again')
        expect(question.decide?.()).toBeUndefined()
        settings = change
        return question.decide?.() ?? { confirmation: 'reject', reason: 'nothing has changed' }
      },
    }
    await carryOut(bench.runtime, begin(options))
    expect(bench.results).toEqual([result])
  })
})

describe('a tool that asks a person', () => {
  const asks = () =>
    toolBench([[calls('user_prompt', { message: 'Which?' })]], { agent: { toolsets: [{ type: 'user_prompt' }] } })

  it('gets the answer', async () => {
    const bench = asks()
    const questions: Question['content'][] = []
    const answer = async ({ content }: Question) => {
      questions.push(content)
      return { action: 'accept' as const, content: { value: 'this' } }
    }
    await carryOut(bench.runtime, begin({ answer }))
    expect(questions).toMatchObject([
      { kind: 'elicitation', message: 'Which?', mode: 'form', tool_call_id: expect.any(String) },
    ])
    expect(bench.results).toEqual(['{"action":"accept","content":{"value":"this"}}'])
  })

  it('is declined where nobody can be asked', async () => {
    const bench = asks()
    await carryOut(bench.runtime, begin({ settings: { interactive: false, safety_policy: 'autonomous' } }))
    expect(bench.results).toEqual(['{"action":"decline"}'])
  })
})

describe('the prompt', () => {
  const words = 'word '.repeat(100)
  const twice = [[sh(`echo ${words}`)], [sh('echo short')]]

  it('holds the middle of no result that is longer than its limit', async () => {
    const bench = toolBench(twice, { agent: { ...shell, max_tool_result_tokens: 10 } })
    const outcome = await carryOut(bench.runtime, begin())
    const [long = '', short] = bench.results
    expect(long).toMatch(/^word word [\s\S]*characters left out[\s\S]*word \n$|word\n$/)
    expect(long.length).toBeLessThan(100)
    expect(short).toBe('short\n')
    expect(toolMessages(outcome)[0]?.content).toHaveLength(words.length)
  })

  it('holds the newest results only, as far as their budget goes', async () => {
    const bench = toolBench(twice, { agent: { ...shell, max_old_tool_call_tokens: 50 } })
    await carryOut(bench.runtime, begin())
    expect(bench.results).toEqual([expect.stringContaining('left out'), 'short\n'])
  })

  it('holds the arguments of the newest calls only, too', async () => {
    const agent = { ...files, max_old_tool_call_tokens: 50 }
    const write = (path: string, content: string) => [calls('write_file', { path, content })]
    const bench = toolBench([write('long.txt', words), write('short.txt', 'short')], { agent })
    await carryOut(bench.runtime, begin())
    const called = bench.requests.at(-1)?.messages.flatMap((message) => message.tool_calls ?? []) ?? []
    expect(called.map((call) => call.function.arguments)).toEqual([
      expect.not.stringContaining('word'),
      '{"path":"short.txt","content":"short"}',
    ])
    expect(called.map((call) => JSON.parse(call.function.arguments ?? ''))).toHaveLength(2)
    expect(bench.read('long.txt')).toBe(words)
  })

  it('says which of its messages stay as they are from day to day', async () => {
    const agent = { instruction: 'Be brief.', add_date: true, toolsets: [{ type: 'think' }] }
    const bench = toolBench([], { agent })
    await carryOut(bench.runtime, begin())
    expect(bench.requests[0]?.messages.map(({ role }) => role)).toEqual(['system', 'system', 'system', 'user'])
    expect(bench.requests[0]?.steady).toBe(2)
  })

  it('says what toolsets have to say', async () => {
    const think = { type: 'think', instruction: 'Think twice. {ORIGINAL_INSTRUCTIONS}' }
    const bench = toolBench([], { agent: { instruction: 'Be brief.', toolsets: [{ type: 'shell' }, think] } })
    await carryOut(bench.runtime, begin())
    expect(bench.requests[0]?.messages.map(({ role }) => role)).toEqual(['system', 'system', 'system', 'user'])
    expect(bench.requests[0] && systemText(bench.requests[0])).toMatch(
      /^Be brief.\n## Shell[\s\S]*\nThink twice. ## Think/,
    )
  })
})

describe('an agent', () => {
  const toolsOf = async (agent: object, file: object = {}) => {
    const bench = toolBench([], { agent, file })
    const outcome = await carryOut(bench.runtime, begin())
    return { outcome, names: bench.requests[0]?.tools.map(({ name }) => name) }
  }

  it('has the tools that its file leaves it', async () => {
    const prefixed = { type: 'think', name: 'my' }
    const some = { type: 'filesystem', tools: ['read_file', 'write_file'], readonly: true }
    const { names, outcome } = await toolsOf(
      { toolsets: [prefixed, some], use_toolsets: ['list'] },
      {
        toolsets: { list: { type: 'todo', tools: ['list_todos'] } },
      },
    )
    expect(names).toEqual(['my_think', 'read_file', 'list_todos'])
    expect(outcome.events.find(({ type }) => type === 'toolset_info')).toMatchObject({ available_tools: 3 })
    const { names: reading } = await toolsOf(
      { ...shell, readonly: true, use_toolsets: ['all'] },
      { toolsets: { all: { type: 'memory' } } },
    )
    expect(reading).toEqual(['get_memories', 'search_memories'])
  })

  const absent = { command: '/nonexistent/server' }

  it('tells how many tools it has, and again when a server has changed its list', async () => {
    const agent = { toolsets: [{ type: 'mcp', ...oddServer() }] }
    const bench = toolBench([[calls('odd_change')], [calls('odd_pids')]], { agent })
    const outcome = await carryOut(bench.runtime, begin())
    const counts = outcome.events.flatMap((event) => (event.type === 'toolset_info' ? [event.available_tools] : []))
    const [before = 0] = counts
    expect(counts).toEqual([before, before + 1])
    expect(bench.requests.map(({ tools }) => tools.length)).toEqual([before, before + 1, before + 1])
  })

  it('runs without a toolset that cannot be started, and says so', async () => {
    const { names, outcome } = await toolsOf(
      { toolsets: [{ type: 'mcp', ref: 'gone' }, { type: 'think' }] },
      { mcps: { gone: absent } },
    )
    expect(names).toEqual(['think'])
    expect(warnings(outcome)).toEqual([
      expect.stringMatching(/^The toolset mcp cannot be started: the MCP server server /),
    ])
    expect(text(outcome)).toBe('done')
    // biome-ignore lint/suspicious/noTemplateCurlyInString: agent files are written so
    const unset = '${env.UNSET}'
    const nowhere = await toolsOf({ toolsets: [{ type: 'mcp', remote: { url: unset } }] })
    expect(warnings(nowhere.outcome)).toEqual([expect.stringContaining('no http or https address')])
  })

  it('does not run without one that it requires', async () => {
    const required = { type: 'mcp', ...absent, lifecycle: { profile: 'strict' } }
    const { names, outcome } = await toolsOf({ toolsets: [required] })
    expect(names).toBeUndefined()
    expect(outcome.error).toMatchObject({ code: 'tool_failed', reason: 'error' })
  })
})

describe('questions about calls', () => {
  it('wait as long as the agent file says for the toolset, and no other', async () => {
    const asked: Question[] = []
    const answer = async (question: Question) => {
      asked.push(question)
      return question.content.kind === 'elicitation'
        ? ({ action: 'decline' } as const)
        : ({ confirmation: 'approve' } as const)
    }
    const approval = { deadline: '1m30s', default: 'allow' }
    const toolsets = [
      { type: 'shell', approval },
      { type: 'user_prompt', elicitation: { default: 'cancel' }, approval: { deadline: '0' } },
      { type: 'filesystem' },
    ]
    const turn = [sh('true'), calls('user_prompt', { message: 'who?' }), calls('create_directory', { paths: ['a'] })]
    const bench = toolBench([turn], { agent: { toolsets } })
    await carryOut(bench.runtime, begin({ settings: { safety_policy: 'strict' }, answer }))
    const expiries = asked.map(({ content, expiry }) => [
      content.kind === 'approval' ? content.tool_definition.name : content.kind,
      expiry,
    ])
    expect(Object.fromEntries(expiries)).toEqual({
      shell: { afterMs: 90_000, answer: 'allow' },
      user_prompt: { afterMs: 0, answer: undefined },
      elicitation: { afterMs: undefined, answer: 'cancel' },
      create_directory: undefined,
    })
  })
})
