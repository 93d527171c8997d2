import { describe, expect, test } from 'vitest'
import type { SafetyPolicy, Tool, ToolAnnotations } from '../../src/protocol/protocol.ts'
import {
  type CallInQuestion,
  type Decision,
  type DecisionHooks,
  decide,
  type HookOpinion,
  reconsider,
  verdictSources,
} from '../../src/tools/decision.ts'

type Stage = keyof DecisionHooks
type Hooks = { readonly [S in Stage]?: Partial<HookOpinion> | ((args: unknown) => Partial<HookOpinion>) }

const noOpinion: HookOpinion = { decision: undefined, reason: undefined, updatedInput: undefined, metadata: {} }

/** Hooks that say what they are told to, and the stages that were asked. */
function hooksOf(hooks: Hooks): DecisionHooks & { readonly asked: string[] } {
  const asked: string[] = []
  const ask = (stage: Stage) => async (args: unknown) => {
    asked.push(stage)
    const says = hooks[stage]
    return { ...noOpinion, ...(typeof says === 'function' ? says(args) : says) }
  }
  return { asked, preempt: ask('preempt'), preToolUse: ask('preToolUse'), permissionRequest: ask('permissionRequest') }
}

function tool(name: string, category: string, annotations: ToolAnnotations = {}): Tool {
  return { name, category, parameters: {}, annotations, outputSchema: null }
}

const shell = tool('shell', 'shell')
const reader = tool('read_file', 'filesystem', { readOnlyHint: true })

function question(more: Partial<CallInQuestion> = {}): CallInQuestion {
  return { tool: shell, args: { cmd: 'make' }, permissions: {}, policy: 'strict', interactive: true, ...more }
}

interface Row {
  readonly about: string
  readonly question?: Partial<CallInQuestion>
  readonly hooks?: Hooks
  readonly expected: `${Decision['outcome']} ${Decision['source']}`
  /** The stages of hooks that were asked, in order. */
  readonly asked: readonly Stage[]
}

const everyStage = ['preempt', 'preToolUse', 'permissionRequest'] as const
const destroys = { cmd: 'rm -rf build' }
const reads = { cmd: 'ls' }

const step0: readonly Row[] = [
  {
    about: 'a preempting deny stops a call that the session allows and that runs on its own',
    question: { policy: 'autonomous', permissions: { session: { allow: ['*'] } } },
    hooks: { preempt: { decision: 'deny' } },
    expected: 'deny pre_tool_use_hook_deny',
    asked: ['preempt'],
  },
  {
    about: 'a preempting ask prompts in autonomous mode and skips the other hooks',
    question: { policy: 'autonomous' },
    hooks: {
      preempt: { decision: 'ask' },
      preToolUse: { decision: 'allow' },
      permissionRequest: { decision: 'allow' },
    },
    expected: 'ask pre_tool_use_hook_ask',
    asked: ['preempt'],
  },
  {
    about: 'a preempting ask prompts in restricted mode',
    question: { policy: 'restricted' },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'ask pre_tool_use_hook_ask',
    asked: ['preempt'],
  },
  {
    about: 'a preempting ask prompts although the team allows',
    question: { permissions: { team: { allow: ['*'] } } },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'ask pre_tool_use_hook_ask',
    asked: ['preempt'],
  },
  {
    about: 'a preempting ask never opens what a rule denies',
    question: { permissions: { team: { deny: ['shell'] } } },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'deny team_permissions_deny',
    asked: ['preempt'],
  },
  {
    about: 'a grant of the session answers a preempting ask',
    question: { tool: tool('deploy', 'mcp'), args: {}, permissions: { session: { allow: ['deploy'] } } },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'allow session_permissions_allow',
    asked: ['preempt'],
  },
  {
    about: 'a grant of the session answers a preempting ask for a simple command',
    question: { args: { cmd: 'make test' }, permissions: { session: { allow: ['shell:cmd=make*'] } } },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'allow session_permissions_allow',
    asked: ['preempt'],
  },
  {
    about: 'a grant of the session does not answer for a command that goes on',
    question: { args: { cmd: 'make test; rm x' }, permissions: { session: { allow: ['shell:cmd=make*', 'shell'] } } },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'ask pre_tool_use_hook_ask',
    asked: ['preempt'],
  },
  {
    about: 'a grant of the session does not answer for a longer word',
    question: { args: { cmd: 'makefs disk' }, permissions: { session: { allow: ['shell:cmd=make*'] } } },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'ask pre_tool_use_hook_ask',
    asked: ['preempt'],
  },
  {
    about: 'a preempting allow is advice: the rest still decides',
    hooks: { preempt: { decision: 'allow' } },
    expected: 'ask mode_strict',
    asked: everyStage,
  },
]

const step1: readonly Row[] = [
  {
    about: 'a session deny wins over autonomous mode',
    question: { policy: 'autonomous', permissions: { session: { deny: ['shell'] } } },
    expected: 'deny session_permissions_deny',
    asked: ['preempt'],
  },
  {
    about: 'a team deny wins over autonomous mode',
    question: { policy: 'autonomous', permissions: { team: { deny: ['shell'] } } },
    expected: 'deny team_permissions_deny',
    asked: ['preempt'],
  },
  {
    about: 'a session allow runs in strict mode what destroys',
    question: { args: destroys, permissions: { session: { allow: ['shell'] } } },
    expected: 'allow session_permissions_allow',
    asked: ['preempt'],
  },
  {
    about: 'a team allow runs in restricted mode what destroys',
    question: { args: destroys, policy: 'restricted', permissions: { team: { allow: ['shell'] } } },
    expected: 'allow team_permissions_allow',
    asked: ['preempt'],
  },
  {
    about: 'a session allow beats a team deny',
    question: { permissions: { session: { allow: ['shell'] }, team: { deny: ['shell'] } } },
    expected: 'allow session_permissions_allow',
    asked: ['preempt'],
  },
  ...(['strict', 'balanced', 'restricted', 'autonomous', ''] as const).map(
    (policy): Row => ({
      about: `a session ask prompts in the mode "${policy}", without other hooks`,
      question: { policy, args: reads, permissions: { session: { ask: ['shell'] } } },
      hooks: { preToolUse: { decision: 'allow' }, permissionRequest: { decision: 'allow' } },
      expected: 'ask session_permissions_ask',
      asked: ['preempt'],
    }),
  ),
  ...(['strict', ''] as const).map(
    (policy): Row => ({
      about: `a team ask prompts in the mode "${policy}", for tools that only read as well`,
      question: { policy, tool: reader, args: {}, permissions: { team: { ask: ['read_file'] } } },
      expected: 'ask team_permissions_ask',
      asked: ['preempt'],
    }),
  ),
  {
    about: 'a team ask gives way to balanced mode',
    question: { policy: 'balanced', args: reads, permissions: { team: { ask: ['shell'] } } },
    expected: 'allow mode_balanced',
    asked: ['preempt'],
  },
  {
    about: 'a team ask gives way to autonomous mode',
    question: { policy: 'autonomous', permissions: { team: { ask: ['shell'] } } },
    expected: 'allow yolo',
    asked: ['preempt'],
  },
  {
    about: 'a team ask gives way to restricted mode',
    question: { policy: 'restricted', permissions: { team: { ask: ['shell'] } } },
    expected: 'deny mode_restricted',
    asked: ['preempt'],
  },
  {
    about: 'a rule about cmd is not avoided with the other name of the argument',
    question: { args: { command: 'rm x' }, policy: 'autonomous', permissions: { team: { deny: ['shell:cmd=rm *'] } } },
    expected: 'deny team_permissions_deny',
    asked: ['preempt'],
  },
]

const modeRows: readonly (readonly [SafetyPolicy, unknown, Row['expected']])[] = [
  ['strict', reads, 'ask mode_strict'],
  ['strict', destroys, 'ask mode_strict'],
  ['strict', { cmd: 'make' }, 'ask mode_strict'],
  ['balanced', reads, 'allow mode_balanced'],
  ['balanced', destroys, 'ask mode_balanced'],
  ['balanced', { cmd: 'make' }, 'ask mode_balanced'],
  ['restricted', reads, 'allow mode_restricted'],
  ['restricted', destroys, 'deny mode_restricted'],
  ['restricted', { cmd: 'make' }, 'deny mode_restricted'],
  ['autonomous', reads, 'allow yolo'],
  ['autonomous', destroys, 'allow yolo'],
  ['autonomous', { cmd: 'make' }, 'allow yolo'],
  ['', reads, 'ask mode_legacy'],
  ['', destroys, 'ask mode_legacy'],
  ['', { cmd: 'make' }, 'ask mode_legacy'],
]

const step2: readonly Row[] = modeRows.map(([policy, args, expected]) => ({
  about: `the mode "${policy}" decides about ${JSON.stringify(args)}`,
  question: { policy, args },
  expected,
  asked: expected.startsWith('ask') ? everyStage : ['preempt'],
}))

const step3: readonly Row[] = [
  {
    about: 'an ordinary hook allows',
    hooks: { preToolUse: { decision: 'allow' } },
    expected: 'allow pre_tool_use_hook_allow',
    asked: ['preempt', 'preToolUse'],
  },
  {
    about: 'an ordinary hook denies, also what legacy mode would run',
    question: { policy: '', tool: reader },
    hooks: { preToolUse: { decision: 'deny' } },
    expected: 'deny pre_tool_use_hook_deny',
    asked: ['preempt', 'preToolUse'],
  },
  {
    about: 'an ordinary hook asks, also about what legacy mode would run',
    question: { policy: '', tool: reader },
    hooks: { preToolUse: { decision: 'ask' }, permissionRequest: { decision: 'allow' } },
    expected: 'ask pre_tool_use_hook_ask',
    asked: ['preempt', 'preToolUse'],
  },
  {
    about: 'guards look again at arguments that an ordinary hook has written',
    hooks: {
      preempt: (args) => (JSON.stringify(args).includes('evil') ? { decision: 'deny' } : {}),
      preToolUse: { decision: 'allow', updatedInput: { cmd: 'evil' } },
    },
    expected: 'deny pre_tool_use_hook_deny',
    asked: ['preempt', 'preToolUse', 'preempt'],
  },
  {
    about: 'rules look again at arguments that an ordinary hook has written',
    question: { permissions: { team: { deny: ['shell:cmd=evil'] } } },
    hooks: { preToolUse: { decision: 'allow', updatedInput: { cmd: 'evil' } } },
    expected: 'deny team_permissions_deny',
    asked: ['preempt', 'preToolUse', 'preempt'],
  },
  {
    about: 'a rule does not allow arguments that an ordinary hook has written and asks about',
    question: { permissions: { team: { allow: ['shell:cmd=fine'] } } },
    hooks: { preToolUse: { decision: 'ask', updatedInput: { cmd: 'fine' } } },
    expected: 'ask pre_tool_use_hook_ask',
    asked: ['preempt', 'preToolUse', 'preempt'],
  },
]

const steps4To6: readonly Row[] = [
  {
    about: 'tools that only read run where no policy was chosen',
    question: { policy: '', tool: reader },
    expected: 'allow readonly_hint',
    asked: ['preempt', 'preToolUse'],
  },
  {
    about: 'tools that only read are asked about in strict mode',
    question: { tool: reader },
    expected: 'ask mode_strict',
    asked: everyStage,
  },
  {
    about: 'a permission hook allows',
    hooks: { permissionRequest: { decision: 'allow' } },
    expected: 'allow permission_request_hook_allow',
    asked: everyStage,
  },
  {
    about: 'a permission hook denies',
    hooks: { permissionRequest: { decision: 'deny' } },
    expected: 'deny permission_request_hook_deny',
    asked: everyStage,
  },
  {
    about: 'a permission hook that asks leaves it to a person',
    hooks: { permissionRequest: { decision: 'ask' } },
    expected: 'ask mode_strict',
    asked: everyStage,
  },
  {
    about: 'rules look again at arguments that a permission hook has written',
    question: { permissions: { session: { deny: ['shell:cmd=evil'] } } },
    hooks: { permissionRequest: { decision: 'allow', updatedInput: { cmd: 'evil' } } },
    expected: 'deny session_permissions_deny',
    asked: [...everyStage, 'preempt'],
  },
  {
    about: 'a person decides when nothing else did',
    question: { policy: 'balanced' },
    expected: 'ask mode_balanced',
    asked: everyStage,
  },
]

const nobody: readonly Row[] = [
  {
    about: 'what needs a person is denied after the hooks had their say',
    question: { interactive: false },
    expected: 'deny non_interactive_deny',
    asked: everyStage,
  },
  {
    about: 'a session ask is denied',
    question: { interactive: false, policy: 'autonomous', permissions: { session: { ask: ['*'] } } },
    expected: 'deny non_interactive_deny',
    asked: ['preempt'],
  },
  {
    about: 'a preempting ask is denied',
    question: { interactive: false, policy: 'autonomous' },
    hooks: { preempt: { decision: 'ask' } },
    expected: 'deny non_interactive_deny',
    asked: ['preempt'],
  },
  {
    about: 'a permission hook may still allow',
    question: { interactive: false },
    hooks: { permissionRequest: { decision: 'allow' } },
    expected: 'allow permission_request_hook_allow',
    asked: everyStage,
  },
  {
    about: 'what runs without a person runs',
    question: { interactive: false, policy: 'balanced', args: reads },
    expected: 'allow mode_balanced',
    asked: ['preempt'],
  },
]

const steps = {
  'preempting hooks': step0,
  'the rules': step1,
  'the table of the policies': step2,
  'ordinary hooks': step3,
  'read-only tools, permission hooks and a person': steps4To6,
  'nobody who could be asked': nobody,
}

describe('a decision', () => {
  for (const [about, rows] of Object.entries(steps)) {
    describe(`comes from ${about}`, () => {
      test.each(rows)('$about', async ({ question: more, hooks = {}, expected, asked }) => {
        const all = hooksOf(hooks)
        const { outcome, source, reason } = await decide(question(more), all)
        expect(`${outcome} ${source}`).toBe(expected)
        expect(all.asked).toEqual(asked)
        expect(reason).toMatch(/\w/)
      })
    })
  }

  test('goes on with the arguments that each hook has written', async () => {
    const hooks = hooksOf({
      preempt: (args) => (JSON.stringify(args) === '{"cmd":"make"}' ? { updatedInput: { cmd: 'one' } } : {}),
      preToolUse: (args) => ({ updatedInput: { first: args } }),
      permissionRequest: (args) => ({ updatedInput: { second: args } }),
    })
    expect((await decide(question(), hooks)).args).toEqual({ second: { first: { cmd: 'one' } } })
  })

  test('labels the arguments that will run', async () => {
    const hooks = hooksOf({ preToolUse: { decision: 'allow', updatedInput: destroys } })
    expect((await decide(question(), hooks)).metadata.safety_label).toBe('destructive')
  })

  test('merges metadata of the tool, permission hooks, the label and preempting hooks, later ones over earlier', async () => {
    const from = (source: string, ...keys: readonly string[]) => Object.fromEntries(keys.map((key) => [key, source]))
    const hooks = hooksOf({
      preempt: { metadata: from('guard', 'reason', 'guard') },
      permissionRequest: { metadata: from('permission', 'both', 'permission', 'safety_label', 'guard') },
      preToolUse: { metadata: from('ordinary', 'ordinary') },
    })
    const { metadata } = await decide(
      question({ args: destroys, metadata: from('tool', 'tool', 'both', 'category') }),
      hooks,
    )
    expect(metadata).toEqual({
      tool: 'tool',
      both: 'permission',
      permission: 'permission',
      safety_label: 'destructive',
      blast_radius: 'high',
      category: 'fs-delete',
      reason: 'guard',
      guard: 'guard',
    })
  })

  test('passes on what a hook gave as its reason', async () => {
    const hooks = hooksOf({ preToolUse: { decision: 'deny', reason: 'not on Fridays' } })
    expect((await decide(question(), hooks)).reason).toBe('not on Fridays')
  })
})

describe('a call that waits for a person', () => {
  const rows: readonly (readonly [
    string,
    Partial<CallInQuestion>,
    Hooks,
    Partial<CallInQuestion>,
    string | undefined,
  ])[] = [
    ['runs once the policy is autonomous', {}, {}, { policy: 'autonomous' }, 'allow yolo'],
    [
      'runs once the policy is balanced and it is safe',
      { args: reads },
      {},
      { args: reads, policy: 'balanced' },
      'allow mode_balanced',
    ],
    ['waits on while it is not safe enough', {}, {}, { policy: 'balanced' }, undefined],
    ['is refused once the policy is restricted', {}, {}, { policy: 'restricted' }, 'deny mode_restricted'],
    [
      'runs once the session allows the tool',
      {},
      {},
      { permissions: { session: { allow: ['shell'] } } },
      'allow session_permissions_allow',
    ],
    [
      'is refused once the session denies it',
      {},
      {},
      { permissions: { session: { deny: ['shell'] } } },
      'deny session_permissions_deny',
    ],
    [
      'waits on where the session asks',
      { permissions: { session: { ask: ['shell'] } } },
      {},
      { policy: 'autonomous', permissions: { session: { ask: ['shell'] } } },
      undefined,
    ],
    ['waits on where a guard asks', {}, { preempt: { decision: 'ask' } }, { policy: 'autonomous' }, undefined],
    [
      'runs once the session allows what a guard asks about',
      {},
      { preempt: { decision: 'ask' } },
      { permissions: { session: { allow: ['shell'] } } },
      'allow session_permissions_allow',
    ],
    [
      'runs in autonomous mode although an ordinary hook asked',
      {},
      { preToolUse: { decision: 'ask' } },
      { policy: 'autonomous' },
      'allow yolo',
    ],
  ]

  test.each(rows)('%s', async (_, before, hooks, after, expected) => {
    const asked = await decide(question(before), hooksOf(hooks))
    expect(asked.outcome).toBe('ask')
    const now = reconsider(question(after), asked)
    expect(now && `${now.outcome} ${now.source}`).toBe(expected)
  })

  test('is told from what the person said', () => {
    expect(verdictSources['approve-tool']).toBe('user_approved_tool')
    expect(verdictSources.reject).toBe('user_rejected')
  })
})
