import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { call } from './call.ts'
import { isAlive, started, world } from './world.ts'

describe('the shell', () => {
  it.each([
    ['what was written to both streams', { cmd: 'echo out; echo err >&2' }, 'out\nerr\n'],
    ['the output of a pipe', { cmd: 'printf abc | tr a-c x' }, 'xxx'],
    ['a command under its other name', { command: 'echo same' }, 'same\n'],
    ['a number that was written as text', { cmd: 'echo soon', timeout: '5' }, 'soon\n'],
    ['nothing from an input', { cmd: 'cat' }, ''],
  ])('returns %s', async (_, args, output) => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    expect(await call(toolset, 'shell', args).result).toMatchObject({ output, meta: { exit_code: 0 } })
  })

  it.each([
    ['an exit code', { cmd: 'echo no; exit 3' }, 'no\n[exit code 3]'],
    ['a signal', { cmd: 'kill -9 $$' }, '[ended by a signal]'],
    ['a timeout', { cmd: 'echo first; sleep 100', timeout: 0.5 }, 'first\n[stopped because it took longer than 0.5 s]'],
    ['a directory that is none', { cmd: 'true', cwd: 'nowhere' }, 'nowhere is not a directory.'],
    ['a command that no command can be', { cmd: 'a\0b' }, 'NUL'],
  ])('tells %s as an error', async (_, args, output) => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    const result = await call(toolset, 'shell', args).result
    expect(result).toMatchObject({ output: expect.stringContaining(output), isError: true })
  })

  it('works in the directory that is asked for, from the working directory on', async () => {
    const home = world()
    mkdirSync(join(home.root, 'home', 'in'), { recursive: true })
    const toolset = await started({ type: 'shell' }, home.environment)
    const places = ['.', 'home', '~/in', '/']
    const told = await Promise.all(places.map((cwd) => call(toolset, 'shell', { cmd: 'pwd', cwd }).result))
    const expected = [home.root, join(home.root, 'home'), join(home.root, 'home', 'in'), '/']
    expect(told.map(({ output }) => output.trim())).toEqual(expected)
  })

  it('tells its output while it runs', async () => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    const test = call(toolset, 'shell', { cmd: 'echo early; until [ -e go ]; do sleep 0.02; done; echo late' })
    await test.hears(/early\n/)
    expect(test.told).not.toContain('late')
    await call(toolset, 'shell', { cmd: 'touch go' }).result
    expect((await test.result).output).toBe('early\nlate\n')
    expect(test.told).toBe('early\nlate\n')
  })

  it('bounds what it tells while it runs, too', async () => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    const test = call(toolset, 'shell', { cmd: 'yes | head -c 20000000' })
    const { output } = await test.result
    expect(output).toContain('the middle is left out')
    expect(test.told.length).toBeLessThan(2_000_000)
    expect(test.told).toMatch(/there is more output/)
  })

  it('keeps whole a character that comes in two pieces', async () => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    const cmd = "printf '\\303'; sleep 0.1; printf '\\251'"
    expect((await call(toolset, 'shell', { cmd }).result).output).toBe('é')
  })

  it('sees the variables of the environment and of the agent file, and none of the server', async () => {
    const home = world({ GIVEN: 'given', QUARTERDECK_AUTH_TOKEN: 'secret' })
    const env = { OWN: 'own-${env.GIVEN}', PATH: '${PATH}:/own', TOKEN: '<${env.QUARTERDECK_AUTH_TOKEN}>' }
    const toolset = await started({ type: 'shell', env }, home.environment)
    const { output } = await call(toolset, 'shell', { cmd: 'env' }).result
    expect(output).toContain('GIVEN=given\n')
    expect(output).toContain('OWN=own-given\n')
    expect(output).toContain(`PATH=${process.env.PATH}:/own\n`)
    expect(output).toContain('TOKEN=<>\n')
    expect(output).not.toContain('secret')
  })

  it.each([
    ['a child in the background', 'sleep 1000 & echo pid-$!'],
    ['a child that ignores what it is told', `/bin/sh -c 'trap "" TERM; sleep 1000; sleep 1000' & echo pid-$!`],
    ['a child that outlives terminals', 'nohup sleep 1000 >/dev/null 2>&1 & echo pid-$!'],
  ])('leaves nothing of %s when the command has ended', async (_, cmd) => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    const { output } = await call(toolset, 'shell', { cmd }).result
    const pid = Number(/pid-(\d+)/.exec(output)?.[1])
    expect(pid).toBeGreaterThan(1)
    expect(isAlive(pid)).toBe(false)
  })

  it('leaves no grandchild after a timeout, also of those that ignore it', async () => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    const cmd = `trap '' TERM; /bin/sh -c 'trap "" TERM; sleep 1000 & echo pid-$!; echo pid-$$; wait; sleep 1000' & echo pid-$$; wait; sleep 1000`
    const { output } = await call(toolset, 'shell', { cmd, timeout: 1 }).result
    const pids = [...output.matchAll(/pid-(\d+)/g)].map(([, pid]) => Number(pid))
    expect(pids).toHaveLength(3)
    expect(pids.filter(isAlive)).toEqual([])
  })

  const { status: withoutSetsid } = spawnSync('setsid', ['true'])

  it.skipIf(withoutSetsid !== 0)(
    'returns although somebody who left the group on purpose (by setsid, skipped where there is none) holds its output',
    async () => {
      const home = world()
      const toolset = await started({ type: 'shell' }, home.environment)
      const { output } = await call(toolset, 'shell', { cmd: 'setsid sleep 1000 & echo pid-$!' }).result
      const pid = Number(/pid-(\d+)/.exec(output)?.[1])
      if (isAlive(pid)) process.kill(pid, 'SIGKILL')
      expect(output).toMatch(/^pid-\d+\n$/)
    },
  )

  it('stops fifty commands at once', async () => {
    const home = world()
    const toolset = await started({ type: 'shell' }, home.environment)
    const tests = Array.from({ length: 50 }, () => call(toolset, 'shell', { cmd: 'sleep 1000 & echo pid-$!-; wait' }))
    const found = await Promise.all(tests.map((test) => test.hears(/pid-(\d+)-/)))
    const reason = new Error('stopped')
    for (const test of tests) test.stop(reason)
    const ends = await Promise.allSettled(tests.map(({ result }) => result))
    expect(ends.every((end) => end.status === 'rejected' && end.reason === reason)).toBe(true)
    expect(found.map(([, pid]) => Number(pid)).filter(isAlive)).toEqual([])
  })
})

describe('scripts', () => {
  const args = {
    who: { type: 'string' },
    many: { type: 'integer' },
    list: { type: 'array', items: { type: 'string' } },
  }

  it('get their arguments as variables', async () => {
    const home = world()
    const shell = { greet: { cmd: 'echo "$who $many $list $HOW"', args, required: ['who'], env: { HOW: 'loud' } } }
    const toolset = await started({ type: 'script', shell }, home.environment)
    const given = { who: '$(touch oops); `x`', many: 3, list: 'one' }
    expect((await call(toolset, 'greet', given).result).output).toBe('$(touch oops); `x` 3 ["one"] loud\n')
    expect((await call(toolset, 'greet', { who: 'you' }).result).output).toBe('you   loud\n')
  })

  it('ask for all their arguments when nothing is said about it', async () => {
    const home = world()
    const toolset = await started({ type: 'script', shell: { greet: { cmd: 'echo $who', args } } }, home.environment)
    expect(toolset.tools[0]?.parameters).toMatchObject({ required: ['who', 'many', 'list'] })
    const result = await call(toolset, 'greet', { who: 'you' }).result
    expect(result).toMatchObject({ isError: true, output: expect.stringContaining('missing: many, list') })
  })

  it('work where they say, and take no variables that they do not name', async () => {
    const home = world()
    mkdirSync(join(home.root, 'there'))
    const shell = { where: { cmd: 'pwd; echo ":$LD_PRELOAD:"', working_dir: 'there' } }
    const toolset = await started({ type: 'script', shell }, home.environment)
    const { output } = await call(toolset, 'where', { LD_PRELOAD: 'evil.so' }).result
    expect(output).toBe(`${join(home.root, 'there')}\n::\n`)
  })
})
