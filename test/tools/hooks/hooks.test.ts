import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Hooks } from '../../../src/agent-file/hooks.ts'
import type { Tool } from '../../../src/protocol/protocol.ts'
import { decide } from '../../../src/tools/decision.ts'
import type { HookContext, HookEvent, HookReport, HooksConfig } from '../../../src/tools/hooks/hook.ts'
import { decisionHooks, runHooks } from '../../../src/tools/hooks/hook-runner.ts'
import { unsupportedHooks } from '../../../src/tools/hooks/hook-support.ts'

const withoutGit = spawnSync('git', ['--version']).status !== 0

const shell: Tool = { name: 'shell', category: 'shell', parameters: {}, annotations: {}, outputSchema: null }
const call = { tool: shell, callId: 'call_1', args: { cmd: 'make' } }
const before: HookEvent = { name: 'pre_tool_use', preempt: false, ...call }
const request: HookEvent = { name: 'permission_request', ...call }
const after: HookEvent = { name: 'post_tool_use', ...call, response: 'done', isError: false }
const start: HookEvent = { name: 'session_start', source: 'startup' }
const prompt: HookEvent = { name: 'user_prompt_submit', prompt: 'hello' }
const stop: HookEvent = { name: 'stop', response: 'bye', lastUserMessage: 'hello' }

interface Scene extends HookContext {
  readonly dir: string
  readonly reports: HookReport[]
}

function scene(signal: AbortSignal = new AbortController().signal): Scene {
  const dir = mkdtempSync(join(tmpdir(), 'quarterdeck-hooks-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const reports: HookReport[] = []
  const environment = { workingDir: dir, variables: { PATH: process.env.PATH, HOME: dir, COLOUR: 'red' }, dataDir: dir }
  return {
    dir,
    reports,
    sessionId: 's1',
    agentName: 'root',
    environment,
    signal,
    tell: (report) => reports.push(report),
  }
}

/** Hooks for the event of one script each, with the fields that an agent file may give them. */
function hooks(event: HookEvent['name'], ...commands: readonly (string | Record<string, unknown>)[]): HooksConfig {
  const list = commands.map((one) => ({ type: 'command', ...(typeof one === 'string' ? { command: one } : one) }))
  const hasMatchers = ['pre_tool_use', 'post_tool_use', 'permission_request'].includes(event)
  return Hooks.parse({ [event]: hasMatchers ? [{ hooks: list }] : list })
}

function says(answer: unknown): string {
  return `cat > /dev/null; printf '%s' '${JSON.stringify(answer)}'`
}

function warnings({ reports }: Scene): readonly string[] {
  return reports.flatMap((report) => (report.kind === 'warning' ? [report.message] : []))
}

describe('the input of a hook', () => {
  const common = { session_id: 's1', agent_name: 'root' }
  const use = {
    tool_name: 'shell',
    tool_use_id: 'call_1',
    tool_input: { cmd: 'make' },
    tool_category: 'shell',
    tool_read_only: false,
  }

  test.each<[HookEvent, Record<string, unknown>]>([
    [start, { source: 'startup' }],
    [prompt, { prompt: 'hello' }],
    [before, use],
    [request, use],
    [after, { ...use, tool_response: 'done', tool_error: false }],
    [stop, { stop_response: 'bye', last_user_message: 'hello' }],
  ])('has the names of its event ($name)', async (event, expected) => {
    const here = scene()
    await runHooks(hooks(event.name, 'cat > input.json'), event, here)
    const input: unknown = JSON.parse(readFileSync(join(here.dir, 'input.json'), 'utf8'))
    expect(input).toEqual({ ...common, cwd: here.dir, hook_event_name: event.name, ...expected })
  })

  test('comes with arguments, variables and a directory', async () => {
    const here = scene()
    mkdirSync(join(here.dir, 'red'))
    const hook = { command: 'printf "%s " "$1" "$MINE" "$COLOUR" "$PWD"', args: ['one two'] }
    const more = { env: { MINE: `dark $x $\{env.COLOUR}` }, working_dir: '~/$COLOUR' }
    const { additionalContext } = await runHooks(hooks('session_start', { ...hook, ...more }), start, here)
    expect(additionalContext).toEqual([`one two dark $x red red ${join(here.dir, 'red')}`])
  })

  test('may be left unread', async () => {
    const here = scene()
    const long = { ...after, response: 'x'.repeat(2_000_000) } satisfies HookEvent
    expect(await runHooks(hooks('post_tool_use', 'exec true'), long, here)).toMatchObject({ decision: undefined })
    expect(warnings(here)).toEqual([])
  })
})

describe('the answer of a hook', () => {
  const specific = (output: Record<string, unknown>) => says({ hook_specific_output: output })

  test.each([
    ['nothing at all', 'true', { decision: undefined, additionalContext: [] }],
    ['an empty object', says({}), { decision: undefined }],
    [
      'allow',
      specific({ permission_decision: 'allow', permission_decision_reason: 'fine' }),
      { decision: 'allow', reason: 'fine' },
    ],
    ['ask', specific({ permission_decision: 'ask' }), { decision: 'ask' }],
    [
      'deny',
      specific({ permission_decision: 'deny', permission_decision_reason: 'no' }),
      { decision: 'deny', reason: 'no' },
    ],
    ['block', says({ decision: 'block', reason: 'policy' }), { decision: 'deny', reason: 'policy' }],
    ['continue false', says({ continue: false, stop_reason: 'enough' }), { decision: 'deny', reason: 'enough' }],
    [
      'a block in spite of an allow',
      says({ decision: 'block', hook_specific_output: { permission_decision: 'allow' } }),
      { decision: 'deny' },
    ],
    ['other arguments', specific({ updated_input: { cmd: 'true' } }), { updatedInput: { cmd: 'true' } }],
    ['metadata', specific({ metadata: { team: 'red' } }), { metadata: { team: 'red' } }],
    ['exit code 2 and a reason on stderr', 'echo forbidden >&2; exit 2', { decision: 'deny', reason: 'forbidden' }],
    [
      'exit code 2 and JSON',
      `${says({ decision: 'block', reason: 'policy' })}; exit 2`,
      { decision: 'deny', reason: 'policy' },
    ],
    ['exit code 2 and JSON that allows', `${specific({ permission_decision: 'allow' })}; exit 2`, { decision: 'deny' }],
    ['plain text, which means nothing here', 'echo looks good', { decision: undefined, additionalContext: [] }],
    ['keys that nobody knows', says({ suppress_output: true, colour: 'red' }), { decision: undefined }],
  ])('about a tool is %s', async (_, command, expected) => {
    expect(await runHooks(hooks('pre_tool_use', command), before, scene())).toMatchObject(expected)
  })

  test.each([
    ['dies', 'exit 1', 'exit code 1'],
    ['complains', 'echo broken >&2; exit 3', 'exit code 3: broken'],
    ['is not there', './missing.sh', 'exit code 127'],
    ['kills itself', 'kill -9 $$', 'SIGKILL'],
    ['writes broken JSON', 'echo "{\\"decision\\": "', 'not JSON'],
    [
      'writes JSON of another kind',
      says({ hook_specific_output: { permission_decision: 'perhaps' } }),
      'permission_decision',
    ],
    [
      'writes other arguments that are no object',
      says({ hook_specific_output: { updated_input: 'x' } }),
      'updated_input',
    ],
    ['floods', 'yes | head -c 3000000', 'too long'],
  ])('blocks a tool when the hook %s', async (_, command, reason) => {
    const outcome = await runHooks(hooks('pre_tool_use', { command, on_error: 'ignore' }), before, scene())
    expect(outcome.decision).toBe('deny')
    expect(outcome.reason).toContain(reason)
  })

  test('blocks a tool when the directory of the hook is not there', async () => {
    const config = hooks('pre_tool_use', { command: 'true', working_dir: 'missing' })
    expect(await runHooks(config, before, scene())).toMatchObject({ decision: 'deny' })
  })

  test.each([
    ['warn', undefined, 1],
    [undefined, undefined, 1],
    ['ignore', undefined, 0],
    ['block', 'deny', 0],
  ] as const)('follows on_error %s when another hook fails', async (on_error, decision, told) => {
    for (const event of [request, after, prompt, start]) {
      const here = scene()
      const outcome = await runHooks(hooks(event.name, { name: 'audit', command: 'exit 1', on_error }), event, here)
      expect(outcome.decision).toBe(decision)
      expect(warnings(here)).toHaveLength(told)
      expect(here.reports.at(-1)).toMatchObject({ kind: 'finished', error: expect.stringContaining('audit') })
    }
  })

  test.each([start, prompt, after, stop])('is context for the model where it is plain text ($name)', async (event) => {
    const config = hooks(
      event.name,
      'echo one; echo two',
      says({ hook_specific_output: { additional_context: 'three' } }),
      'echo "{4}"',
    )
    expect((await runHooks(config, event, scene())).additionalContext).toEqual(['one\ntwo', 'three', '{4}'])
  })

  test('may have a message for the person', async () => {
    const here = scene()
    await runHooks(hooks('stop', says({ system_message: 'mind the gap' })), stop, here)
    expect(warnings(here)).toEqual(['mind the gap'])
  })
})

describe('hooks of one event', () => {
  test('see what the one before made of the arguments', async () => {
    const here = scene()
    const rewrite = says({ hook_specific_output: { updated_input: { cmd: 'true' }, metadata: { a: '1', b: '1' } } })
    const again = says({ hook_specific_output: { permission_decision: 'allow', metadata: { b: '2' } } })
    const outcome = await runHooks(hooks('pre_tool_use', rewrite, `tee seen > /dev/null; ${again}`), before, here)
    expect(outcome).toMatchObject({ decision: 'allow', updatedInput: { cmd: 'true' }, metadata: { a: '1', b: '2' } })
    expect(readFileSync(join(here.dir, 'seen'), 'utf8')).toContain('"tool_input":{"cmd":"true"}')
  })

  test('agree on the strictest, and none runs after a deny', async () => {
    const decision = (permission_decision: string) =>
      says({ hook_specific_output: { permission_decision, permission_decision_reason: permission_decision } })
    const here = scene()
    const ask = await runHooks(
      hooks('pre_tool_use', decision('allow'), decision('ask'), decision('allow')),
      before,
      here,
    )
    expect(ask).toMatchObject({ decision: 'ask', reason: 'ask' })
    const deny = await runHooks(hooks('pre_tool_use', decision('allow'), decision('deny'), 'touch ran'), before, here)
    expect(deny).toMatchObject({ decision: 'deny', reason: 'deny' })
    expect(existsSync(join(here.dir, 'ran'))).toBe(false)
  })

  test('are told of as one: when they start, and how they end', async () => {
    const here = scene()
    await runHooks(hooks('user_prompt_submit', 'true', 'echo no >&2; exit 2'), prompt, here)
    expect(here.reports).toEqual([
      { kind: 'started', event: 'user_prompt_submit' },
      {
        kind: 'finished',
        event: 'user_prompt_submit',
        durationMs: expect.any(Number),
        allowed: false,
        error: undefined,
        message: 'no',
      },
    ])
  })

  test('say nothing where none is meant', async () => {
    const here = scene()
    const config = Hooks.parse({
      pre_tool_use: [{ matcher: 'edit_.*', hooks: [{ type: 'command', command: 'exit 2' }] }],
    })
    expect((await runHooks(config, before, here)).decision).toBeUndefined()
    expect(here.reports).toEqual([])
  })

  test.each([
    [undefined, true],
    ['', true],
    ['*', true],
    ['shell', true],
    ['edit_file|shell', true],
    ['sh.*', true],
    ['(?i)SHELL', true],
    ['she', false],
    ['Shell', false],
    ['edit_file', false],
    ['[', true],
  ])('are chosen by the matcher %s: %s', async (matcher, runs) => {
    const config = Hooks.parse({ pre_tool_use: [{ matcher, hooks: [{ type: 'command', command: 'exit 2' }] }] })
    expect((await runHooks(config, before, scene())).decision).toBe(runs ? 'deny' : undefined)
  })
})

describe('hooks that go on too long', () => {
  test('block a tool when they take longer than they may, and are gone', async () => {
    const here = scene()
    const config = hooks('pre_tool_use', { command: 'sleep 600 & echo $! > child; wait', timeout: 1 })
    expect(await runHooks(config, before, here)).toMatchObject({
      decision: 'deny',
      reason: expect.stringContaining('1 s'),
    })
    expect(isAlive(Number(readFileSync(join(here.dir, 'child'), 'utf8')))).toBe(false)
  })

  test('are gone when the run stops, and pass on why it did', async () => {
    const run = new AbortController()
    const here = scene(run.signal)
    const written = appears(here.dir, 'child')
    const reason = new Error('stopped')
    const config = hooks('pre_tool_use', 'trap "" TERM; sleep 600 & echo $! > tmp; mv tmp child; wait; wait')
    const running = runHooks(config, before, here)
    await written
    run.abort(reason)
    await expect(running).rejects.toBe(reason)
    expect(isAlive(Number(readFileSync(join(here.dir, 'child'), 'utf8')))).toBe(false)
  })

  test('take what they left in the background along', async () => {
    const here = scene()
    const { additionalContext } = await runHooks(hooks('session_start', 'sleep 600 & echo $!'), start, here)
    expect(isAlive(Number(additionalContext[0]))).toBe(false)
  })

  test('do not run at all after the stop', async () => {
    const here = scene(AbortSignal.abort(new Error('stopped')))
    await expect(runHooks(hooks('stop', 'touch ran'), stop, here)).rejects.toThrow('stopped')
    expect(existsSync(join(here.dir, 'ran'))).toBe(false)
  })
})

describe('hooks that have a say about a call', () => {
  const question = { tool: shell, args: call.args, permissions: {}, interactive: true } as const
  const group = (command: string, preempt_yolo: boolean) => ({
    matcher: 'shell',
    preempt_yolo,
    hooks: [{ type: 'command', command }],
  })

  test('are asked in their stages', async () => {
    const here = scene()
    const config = Hooks.parse({
      pre_tool_use: [group('echo ordinary >> order', false), group('echo guard >> order', true)],
      permission_request: [group('echo permission >> order', false)],
    })
    const outcome = await decide({ ...question, policy: 'strict' }, decisionHooks(config, shell, 'call_1', here))
    expect(outcome.outcome).toBe('ask')
    expect(readFileSync(join(here.dir, 'order'), 'utf8')).toBe('guard\nordinary\npermission\n')
  })

  test('guard also what would run on its own', async () => {
    const script = '#!/bin/sh\ncase "$(cat)" in *make*) echo "no make today" >&2; exit 2;; esac\nexit 0\n'
    const here = scene()
    writeFileSync(join(here.dir, 'guard.sh'), script)
    chmodSync(join(here.dir, 'guard.sh'), 0o755)
    const config = Hooks.parse({ pre_tool_use: [group('./guard.sh', true)] })
    const asked = decisionHooks(config, shell, 'call_1', here)
    expect(await decide({ ...question, policy: 'autonomous' }, asked)).toMatchObject({
      outcome: 'deny',
      source: 'pre_tool_use_hook_deny',
      reason: 'no make today',
    })
    expect(await decide({ ...question, args: { cmd: 'ls' }, policy: 'autonomous' }, asked)).toMatchObject({
      outcome: 'allow',
    })
  })
})

describe('built-in hooks', () => {
  const builtin = (event: HookEvent['name'], command: string, ...args: readonly string[]) =>
    hooks(event, { type: 'builtin', command, args: [...args] })
  const context = async (here: Scene, command: string, ...args: readonly string[]) =>
    (await runHooks(builtin('session_start', command, ...args), start, here)).additionalContext.join()

  test('tell the date, the environment, the user and the directory', async () => {
    const here = scene()
    writeFileSync(join(here.dir, 'b.txt'), '')
    writeFileSync(join(here.dir, '.hidden'), '')
    mkdirSync(join(here.dir, 'a'))
    expect(await context(here, 'add_date')).toMatch(/^Today's date: \d{4}-\d\d-\d\d$/)
    expect(await context(here, 'add_environment_info')).toContain(`Working directory: ${here.dir}`)
    expect(await context(here, 'add_user_info')).toMatch(/User: \w+/)
    expect(await context(here, 'add_directory_listing')).toBe(`Entries of ${here.dir}:\na/\nb.txt`)
    for (let file = 0; file < 120; file += 1) writeFileSync(join(here.dir, `c${file}`), '')
    expect(await context(here, 'add_directory_listing')).toContain('... and 22 more')
  })

  test.skipIf(withoutGit)(
    'tell about a repository (skipped without git), and nothing where there is none',
    async () => {
      const here = scene()
      for (const command of ['add_git_status', 'add_git_diff', 'add_recent_commits'])
        expect(await context(here, command)).toBe('')
      const set = '-c user.name=a -c user.email=a@example.org -c commit.gpgsign=false'
      const make = `git init -q -b main . && echo one > f && git add f && git ${set} commit -qm first && git ${set} commit -qm second --allow-empty && echo two > f`
      await runHooks(hooks('session_start', { command: make, on_error: 'block' }), start, here)
      expect(await context(here, 'add_git_status')).toContain('## main\n M f')
      expect(await context(here, 'add_git_diff')).toContain('1 file changed')
      expect(await context(here, 'add_git_diff', 'full')).toContain('+two')
      expect(await context(here, 'add_recent_commits')).toMatch(/second\n.*first/)
      expect(await context(here, 'add_recent_commits', '1')).not.toContain('first')
      expect(await context(here, 'add_environment_info')).toContain('repository: yes')
    },
  )

  test('take secrets out of arguments, and leave the rest alone', async () => {
    const key = `sk-ant-${'a1'.repeat(20)}`
    const event = { ...before, args: { cmd: `curl -H "x-api-key: ${key}" x`, list: [1, { key }] } }
    const config = builtin('pre_tool_use', 'redact_secrets')
    expect((await runHooks(config, event, scene())).updatedInput).toEqual({
      cmd: 'curl -H "x-api-key: [REDACTED]" x',
      list: [1, { key: '[REDACTED]' }],
    })
    expect((await runHooks(config, before, scene())).updatedInput).toBeUndefined()
  })
})

describe('hooks that would not run', () => {
  test('are named with their place', () => {
    const command = { type: 'command', command: 'true' }
    const builtin = (name: string) => ({ type: 'builtin', command: name })
    const config = Hooks.parse({
      turn_start: [builtin('add_date')],
      session_end: [],
      tool_guard: [{ hooks: [command] }],
      session_start: [command, builtin('redact_secrets'), builtin('add_date')],
      pre_tool_use: [
        { matcher: 'shell', preempt_yolo: true, hooks: [command, { type: 'model', model: 'a/b', prompt: 'x' }] },
        { matcher: '(', hooks: [builtin('snapshot'), builtin('redact_secrets')] },
      ],
      permission_request: [{ preempt_yolo: true, hooks: [command] }],
    })
    expect(
      unsupportedHooks(config)
        .map(({ path }) => path)
        .sort(),
    ).toEqual([
      'hooks.permission_request.0.preempt_yolo',
      'hooks.pre_tool_use.0.hooks.1.type',
      'hooks.pre_tool_use.1.hooks.0.command',
      'hooks.pre_tool_use.1.matcher',
      'hooks.session_start.1.command',
      'hooks.tool_guard',
      'hooks.turn_start',
    ])
    expect(unsupportedHooks(config)).toContainEqual({
      path: 'hooks.tool_guard',
      message: 'Hooks for tool_guard are not supported yet.',
    })
  })

  test('are none where all can run', () => {
    expect(unsupportedHooks(Hooks.parse({}))).toEqual([])
    expect(unsupportedHooks(hooks('stop', 'true'))).toEqual([])
  })
})

function isAlive(pid: number): boolean {
  expect(pid).toBeGreaterThan(1)
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/\) [ZX] /.test(stat)
  } catch {
    return false
  }
}

async function appears(dir: string, name: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const watcher = watch(dir, () => existsSync(join(dir, name)) && resolve())
  await promise
  watcher.close()
}
