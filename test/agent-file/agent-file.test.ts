import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { AgentFile, agentFileView, agentNamed, parseAgentFile, summarise } from '../../src/agent-file/agent-file.ts'
import { Refusal } from '../../src/protocol/protocol.ts'

const root = mkdtempSync(join(tmpdir(), 'agent-file-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

function parse(text: string, baseDir?: string): AgentFile {
  return parseAgentFile(text, { origin: 'team.yaml', baseDir })
}

function refusalOf(text: string, baseDir?: string): Refusal {
  try {
    parse(text, baseDir)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('was accepted')
}

function lines(...text: string[]): string {
  return `${text.join('\n')}\n`
}

const minimal = lines('agents:', '  root:', '    model: openai/gpt-4o')

describe('F1: what is wrong with a file', () => {
  const table: readonly [title: string, text: string, path: string, message: string][] = [
    ['an unknown key at the top', `${minimal}agnets: {}\n`, 'agnets', 'unknown key (line 4)'],
    [
      'an unknown key of an agent',
      lines('agents:', '  root:', '    model: auto', '', '    # a slip', '    # of the pen', '    instrcution: hello'),
      'agents.root.instrcution',
      'unknown key (line 7)',
    ],
    ['an unknown key without a value', `${minimal}    nonsense:\n`, 'agents.root.nonsense', 'unknown key (line 4)'],
    [
      'an unknown key of a toolset',
      `${minimal}    toolsets:\n      - type: shell\n        cwd: /\n`,
      'agents.root.toolsets.0.cwd',
      'unknown key (line 6)',
    ],
    [
      'an unknown key inside a choice of shapes',
      `${minimal}    commands:\n      fix:\n        instruktion: x\n`,
      'agents.root.commands.fix.instruktion',
      'unknown key (line 6)',
    ],
    [
      'an unknown key of a model',
      `${minimal}models:\n  a: {provider: openai, model: b, key: c}\n`,
      'models.a.key',
      'unknown key (line 5)',
    ],
    [
      'a number that is text',
      `${minimal}    max_iterations: many\n`,
      'agents.root.max_iterations',
      'expected number, received string (line 4)',
    ],
    [
      'a text that is a number',
      `${minimal}    description: 42\n`,
      'agents.root.description',
      'expected string, received number (line 4)',
    ],
    [
      'a value of no known shape',
      `${minimal}    skills: 7\n`,
      'agents.root.skills',
      'expected boolean or array (line 4)',
    ],
    [
      'a type of toolset that does not exist',
      `${minimal}    toolsets: [{type: shel}]\n`,
      'agents.root.toolsets.0.type',
      'expected one of',
    ],
    [
      'a toolset that lacks what its type needs',
      `${minimal}    toolsets:\n      - type: think\n      - type: mcp\n`,
      'agents.root.toolsets.1',
      'a toolset of type mcp needs command or remote or ref (line 6)',
    ],
    [
      'a rule for restarts that does not exist',
      `${minimal}    toolsets:\n      - type: shell\n        rerun: always\n`,
      'agents.root.toolsets.0.rerun',
      'expected one of "safe"|"never"|"ask" (line 6)',
    ],
    [
      'a rule for restarts of a tool that does not exist',
      `${minimal}    toolsets:\n      - type: filesystem\n        rerun:\n          write_file: again\n`,
      'agents.root.toolsets.0.rerun.write_file',
      'expected one of "safe"|"never"|"ask" (line 7)',
    ],
    [
      'trust in a toolset that is no server',
      `${minimal}    toolsets:\n      - type: shell\n        trust_annotations: true\n`,
      'agents.root.toolsets.0.trust_annotations',
      'is only for toolsets of type mcp (line 6)',
    ],
    [
      'a duration in another form',
      `${minimal}budget: {max_time: 5 minutes}\n`,
      'budget.max_time',
      'expected a duration',
    ],
    [
      'a deadline that would cancel a call',
      `${minimal}    toolsets: [{type: shell, approval: {deadline: 1h, default: cancel}}]\n`,
      'agents.root.toolsets.0.approval.default',
      'expected one of',
    ],
    ['a model without a provider', `${minimal}models: {a: {model: b}}\n`, 'models.a', 'needs provider (line 4)'],
    [
      'a hook without a command',
      `${minimal}    hooks: {stop: [{type: command}]}\n`,
      'agents.root.hooks.stop.0',
      'needs',
    ],
    ['no agents at all', 'models: {}\n', 'agents', 'is missing (line 1)'],
    ['an empty list of agents', 'agents: {}\n', 'agents', 'a file needs at least one agent (line 1)'],
    ['a file that is empty', '', '', 'expected object, received null (line 1)'],
    ['a file that is a list', '- a\n', '', 'expected object, received array (line 1)'],
    ['an agent that is empty', 'agents:\n  root:\n', 'agents.root', 'expected object, received null (line 2)'],
    ['a version from the future', `version: "99"\n${minimal}`, 'version', 'expected a version from 0 to 16 (line 1)'],
    ['broken indentation', 'agents:\n  root:\n   model: a\n  \tx: 1\n', '', '(line 4)'],
    ['a bracket that is not closed', 'agents: {root: {model: auto}\n', '', '(line 2)'],
    ['the same key twice', `${minimal}    model: auto\n`, '', 'Map keys must be unique (line 4)'],
    ['an alias without an anchor', 'agents:\n  root: *nobody\n', '', 'there is no anchor called nobody (line 2)'],
    ['a tag nobody knows', 'agents:\n  root: {model: !x auto}\n', '', '(line 2)'],
    ['a value that contains itself', 'agents: &a\n  root: {model: auto, hooks: *a}\n', '', 'nested more than'],
    ['a key that is a list', `${minimal}? [a]\n: 1\n`, '', 'a key must be plain text (line 4)'],
    ['a key that would be a prototype', `${minimal}__proto__: {a: 1}\n`, '', '__proto__ cannot be a key (line 4)'],
    [
      'a model nobody defined',
      'agents:\n  root: {model: clod}\n',
      'agents.root.model',
      '"clod" is neither a model of this file nor of the form provider/model (line 2)',
    ],
    [
      'a sub-agent nobody defined',
      `${minimal}    sub_agents:\n      - helper\n`,
      'agents.root.sub_agents.0',
      'there is no agent called "helper" in this file (line 5)',
    ],
    ['a handoff to nobody', `${minimal}    handoffs: [x]\n`, 'agents.root.handoffs.0', 'there is no agent called "x"'],
    [
      'a forced handoff that comes back',
      'agents:\n  a: {force_handoff: b}\n  b: {force_handoff: a}\n',
      'agents.a.force_handoff',
      'the forced handoffs lead back to this agent (line 2)',
    ],
    [
      'a budget nobody defined',
      `${minimal}    budgets: [tight]\n`,
      'agents.root.budgets.0',
      'there is no budget called',
    ],
    [
      'a shared toolset nobody defined',
      `${minimal}    use_toolsets: [t]\n`,
      'agents.root.use_toolsets.0',
      'no toolset',
    ],
    [
      'an MCP server nobody defined',
      `${minimal}    toolsets: [{type: mcp, ref: files}]\n`,
      'agents.root.toolsets.0.ref',
      'there is no mcp definition called "files"',
    ],
  ]

  it.each(table)('names %s by path and line', (_, text, path, message) => {
    const refusal = refusalOf(text)
    expect(refusal.code).toBe('invalid_agent_file')
    expect(refusal.details?.[0]?.path).toBe(path)
    expect(refusal.details?.[0]?.message).toContain(message)
    expect(refusal.message).toContain('team.yaml: ')
  })

  it('says the first thing in the message and everything in the details', () => {
    const refusal = refusalOf(`${minimal}    one: 1\n    two: 2\nthree: 3\n`)
    expect(refusal.details?.map(({ path }) => path).sort()).toEqual(['agents.root.one', 'agents.root.two', 'three'])
    expect(refusal.message).toContain('(and 2 more)')
  })
})

describe('what a file may say', () => {
  it('keeps the order of the agents, also when names look like numbers', () => {
    const file = parse('agents:\n  zed: {model: auto}\n  "2": {model: auto}\n  "1": {model: auto}\n')
    expect(file.agents.map(({ Name }) => Name)).toEqual(['zed', '2', '1'])
  })

  it('reads what it has made again', () => {
    const file = parse(`${minimal}    commands: [{a: do it}]\n    instruction: [one, two]\n`)
    expect(AgentFile.parse(file)).toEqual(file)
  })

  it.each([
    ['version: 2', '2'],
    ['version: "16"', '16'],
  ])('reads %s', (line, version) => {
    expect(parse(`${line}\n${minimal}`).version).toBe(version)
  })

  it('reads commands as text, as objects and as a list', () => {
    const commands = (yaml: string) => parse(`${minimal}    commands: ${yaml}\n`).agents[0]?.commands
    expect(commands('{a: do, b: {url: "https://x.y"}}')).toEqual({
      a: { instruction: 'do' },
      b: { url: 'https://x.y' },
    })
    expect(commands('[{a: do}, {b: {agent: root}}]')).toEqual({ a: { instruction: 'do' }, b: { agent: 'root' } })
  })

  it('takes keys without a value as missing', () => {
    expect(parse(`${minimal}    toolsets:\n    description:\n`).agents[0]).toEqual({
      Name: 'root',
      model: 'openai/gpt-4o',
    })
  })

  it('turns the older rag key of an agent into toolsets', () => {
    const text = `${minimal}    rag: [docs]\nrag:\n  docs: {docs: [a.md], strategies: [{type: bm25}]}\n`
    expect(parse(text).agents[0]?.toolsets).toEqual([{ type: 'rag', ref: 'docs' }])
  })

  it('keeps environment values and arguments as they are written', () => {
    const text = `${minimal}    toolsets:\n      - {type: mcp, command: x, args: [--port, 0080], env: {ZIP: 01234, ON: true}}\n`
    expect(parse(text).agents[0]?.toolsets?.[0]).toMatchObject({
      args: ['--port', '0080'],
      env: { ZIP: '01234', ON: 'true' },
    })
  })

  it('does not look into provider options, where a script keeps its numbers', () => {
    const step = '{tool_call: {name: a, arguments: {args: [1], env: {a: 2}}}}'
    const text = `${minimal}models: {s: {provider: scripted, model: s, provider_opts: {script: [[${step}]]}}}\n`
    expect(parse(text).models?.s?.provider_opts).toEqual({
      script: [[{ tool_call: { name: 'a', arguments: { args: [1], env: { a: 2 } } } }]],
    })
  })

  it('follows anchors and merge keys', () => {
    const file = parse(
      lines('agents:', '  a: &a', '    model: auto', '    add_date: true', '  b: {<<: *a, add_date: false}'),
    )
    expect(file.agents[1]).toEqual({ Name: 'b', model: 'auto', add_date: false })
  })

  it.each(['auto', 'openai/gpt-4o', 'dmr/ai/qwen3', 'fast', 'fast, openai/gpt-4o', `\${env.MODEL}`])(
    'takes %s for a model',
    (model) => {
      const text = `models: {fast: {provider: openai, model: gpt-5-mini}}\nagents: {root: {model: "${model}"}}\n`
      expect(parse(text).agents[0]?.model).toBe(model)
    },
  )

  it.each(['agentcatalog/pirate', 'reviewer:myorg/review', 'https://example.com/agent.yaml'])(
    'takes %s for an agent that lives elsewhere',
    (name) => {
      expect(parse(`${minimal}    sub_agents: ["${name}"]\n`).agents[0]?.sub_agents).toEqual([name])
    },
  )

  it('does not expand references to the environment', () => {
    const text = `${minimal}    instruction: "I am \${env.HOME}"\n`
    expect(parse(text).agents[0]?.instruction).toBe(`I am \${env.HOME}`)
  })
})

describe('F2: instruction files', () => {
  const dir = join(root, 'team')
  mkdirSync(join(dir, 'texts'), { recursive: true })
  writeFileSync(join(dir, 'texts', 'one.md'), 'one\n')
  writeFileSync(join(dir, 'two.md'), 'two\n')
  writeFileSync(join(root, 'secret.md'), 'secret')
  symlinkSync(join(root, 'secret.md'), join(dir, 'link.md'))
  symlinkSync(join(dir, 'two.md'), join(dir, 'inside.md'))
  const withFile = (value: string) => `agents:\n  root:\n    model: auto\n    instruction_file: ${value}\n`

  it.each([
    ['texts/one.md', 'one\n'],
    ['[texts/one.md, ./two.md]', 'one\n\ntwo\n'],
    ['texts/../inside.md', 'two\n'],
  ])('inlines %s', (value, instruction) => {
    expect(parse(withFile(value), dir).agents[0]).toEqual({ Name: 'root', model: 'auto', instruction })
  })

  it.each([
    ['a path that climbs out', '../secret.md', 'lies outside'],
    ['an absolute path elsewhere', join(root, 'secret.md'), 'lies outside'],
    ['a link that leads out', 'link.md', 'lies outside'],
    ['a file that is missing', 'three.md', 'there is no such file'],
    ['a directory', 'texts', 'not a regular file'],
  ])('refuses %s', (_, value, message) => {
    const [detail] = refusalOf(withFile(value), dir).details ?? []
    expect(detail?.path).toBe('agents.root.instruction_file')
    expect(detail?.message).toContain(message)
    expect(detail?.message).toContain('(line 4)')
  })

  it('refuses them beside an instruction and without a directory', () => {
    expect(refusalOf(`${withFile('two.md')}    instruction: x\n`, dir).message).toContain('not together')
    expect(refusalOf(withFile('two.md')).message).toContain('only in files that lie in a directory')
  })
})

describe('what is made of a file', () => {
  const file = parse(
    lines(
      'agents:',
      '  zoe: {model: auto, description: First, use_commands: [base], commands: {b: own, c: see}}',
      '  root: {model: auto}',
      'commands: {base: {a: shared, b: shared}}',
    ),
  )

  it('summarises the first agent, with its commands sorted', () => {
    expect(summarise('team', file)).toEqual({
      name: 'team',
      description: 'First',
      multi: true,
      commands: ['a', 'b', 'c'],
    })
    expect(summarise('x', parse(minimal))).toEqual({ name: 'x', description: '', multi: false })
  })

  it('finds an agent by name, else the one called root, else the first', () => {
    expect(agentNamed(file, 'zoe')?.Name).toBe('zoe')
    expect(agentNamed(file)?.Name).toBe('root')
    expect(agentNamed(parse('agents: {a: {model: auto}, b: {model: auto}}\n'))?.Name).toBe('a')
    expect(agentNamed(file, 'nobody')).toBeUndefined()
  })
})

describe('F3: the view', () => {
  const view = agentFileView(
    parse(
      lines(
        'agents:',
        '  root:',
        '    model: m',
        '    commands: {env: keep me, token: and me}',
        '    toolsets:',
        '      - type: mcp',
        '        command: server',
        '        args: [--token, hush-1, --api-key=hush-2, --verbose]',
        `        env: {A: hush-3, B: "\${env.B}"}`,
        '      - type: mcp',
        '        remote:',
        '          url: https://joe:hush-4@example.com/?api_key=hush-5&page=2',
        `          headers: {Authorization: Bearer hush-6, X-Me: "\${headers.X-Me}", Y: "Bearer \${env.Y}", Z: "hush-7 \${env.Z}"}`,
        '          oauth: {clientId: id, clientSecret: hush-8}',
        '      - type: webhook',
        '        webhook_config: {provider: slack, url: https://hooks.example.com/hush-9}',
        'models:',
        '  m:',
        '    provider: openai',
        '    model: x',
        '    token_key: OPENAI_API_KEY',
        '    provider_opts: {api_key: hush-10, http_headers: {H: hush-11}, top_k: 3}',
        '  env: {provider: openai, model: x, token_key: hush-12}',
        'mcps: {files: {command: y, env: {C: hush-13}}}',
      ),
    ),
  )
  const text = JSON.stringify(view)

  it('shows no secret', () => {
    expect(text).not.toContain('hush')
    expect(
      agentFileView(parse(`${minimal}    instruction: use sk-abcdefghijklmnopqrstuvwx\n`)).agents[0]?.instruction,
    ).toBe('use ***')
  })

  it('keeps references to secrets, and what is not one', () => {
    const [mcp, remote] = view.agents[0]?.toolsets ?? []
    expect(mcp).toMatchObject({
      args: ['--token', '***', '--api-key=***', '--verbose'],
      env: { A: '***', B: `\${env.B}` },
    })
    expect(remote?.remote).toEqual({
      url: 'https://***@example.com/?api_key=***&page=2',
      transport_type: undefined,
      headers: { Authorization: '***', 'X-Me': `\${headers.X-Me}`, Y: `Bearer \${env.Y}`, Z: '***' },
      oauth: { clientId: 'id', clientSecret: '***' },
    })
    expect(view.agents[0]?.commands).toEqual({ env: { instruction: 'keep me' }, token: { instruction: 'and me' } })
    expect(view.models?.m).toMatchObject({ token_key: 'OPENAI_API_KEY', provider_opts: { api_key: '***', top_k: 3 } })
    expect(view.models?.env).toMatchObject({ provider: 'openai', token_key: '***' })
  })

  it('shows the rules for restarts', () => {
    const toolset = '{type: mcp, command: x, trust_annotations: true, rerun: {pay: ask, "*": never}}'
    const { agents } = agentFileView(parse(`${minimal}    toolsets: [${toolset}]\n`))
    expect(agents[0]?.toolsets?.[0]).toMatchObject({ trust_annotations: true, rerun: { pay: 'ask', '*': 'never' } })
  })

  it('gives every toolset remote, api_config and webhook_config', () => {
    expect(view.mcps?.files).toMatchObject({ remote: { url: '' }, api_config: {}, webhook_config: {} })
    for (const toolset of view.agents[0]?.toolsets ?? []) {
      expect(Object.keys(toolset)).toEqual(expect.arrayContaining(['remote', 'api_config', 'webhook_config']))
    }
  })
})

describe('F1: parsing anything', () => {
  const whole = lines(
    'version: 3',
    'agents:',
    '  root: &r',
    '    model: fast',
    '    instruction: |',
    '      Be kind.',
    '    sub_agents: [b]',
    '    toolsets: [{type: mcp, remote: {url: "http://x", headers: {A: b}}}, {type: script, shell: {a: {cmd: "date"}}}]',
    '    commands: [{fix: all of it}]',
    '    hooks: {stop: [{type: command, command: "true"}]}',
    '  b: {<<: *r, thinking: 1}',
    'models: {fast: {provider: openai, model: x, thinking_budget: low, provider_opts: {a: [1, {b: null}]}}}',
    'permissions: {allow: ["a*"]}',
  )
  const tokens = [
    '\n',
    '  ',
    '\t',
    ':',
    '- ',
    '*r',
    '&r',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '|',
    '!',
    '<<: *r',
    '__proto__',
    '%',
    '\0',
    '🙂',
    '1e999',
    '~',
  ]
  const cut = fc.tuple(
    fc.nat(whole.length),
    fc.nat(6),
    fc.oneof(fc.constantFrom(...tokens), fc.string({ maxLength: 6 })),
  )
  const mutated = fc
    .array(cut, { minLength: 1, maxLength: 5 })
    .map((cuts) => cuts.reduce((text, [at, length, put]) => text.slice(0, at) + put + text.slice(at + length), whole))

  it('gives a file that can be shown, or refuses it', () => {
    fc.assert(
      fc.property(fc.oneof({ weight: 4, arbitrary: mutated }, { weight: 1, arbitrary: fc.string() }), (text) => {
        try {
          const file = parse(text)
          JSON.stringify([agentFileView(file), summarise('x', file)])
        } catch (error) {
          expect(error).toBeInstanceOf(Refusal)
          if (error instanceof Refusal) expect(error.code).toBe('invalid_agent_file')
        }
      }),
      { numRuns: 250 },
    )
  })

  it.each([
    ['brackets without end', '['.repeat(50_000)],
    ['deep flow maps', `agents: ${'{a: '.repeat(3000)}1${'}'.repeat(3000)}`],
    [
      'aliases that multiply',
      `a: &a [1,1,1,1,1,1,1,1]\n${'bcdefghij'.replace(/./g, (c) => `${c}: &${c} [${Array(9).fill(`*${String.fromCharCode(c.charCodeAt(0) - 1)}`)}]\n`)}`,
    ],
  ])('refuses %s', (_, text) => {
    expect(refusalOf(text).code).toBe('invalid_agent_file')
  })
})
