import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseCommandLine } from '../src/command-line.ts'
import { type Config, defaults, parseConfig, UsageError } from '../src/config.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-config-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

function serve(args: readonly string[], env: Readonly<Record<string, string>> = {}): Config {
  const command = parseCommandLine(['serve', ...args], env)
  if (command.kind !== 'serve') throw new Error(`expected serve, got ${command.kind}`)
  return command.config
}

function complaint(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  try {
    parseCommandLine(args, env)
  } catch (error) {
    if (error instanceof UsageError) return error.message
    throw error
  }
  throw new Error('expected a UsageError')
}

describe('the configuration', () => {
  test('is complete without any flag, and frozen', () => {
    const config = serve(['agent.yaml'])
    expect(config).toEqual({
      source: resolve('agent.yaml'),
      listen: { kind: 'tcp', host: '127.0.0.1', port: 8080 },
      sessionDb: resolve('quarterdeck.db'),
      maxRequestSize: 1_048_576,
      envFromFile: [],
      pullInterval: undefined,
      eventRetention: { ageMs: 30 * 24 * 3600 * 1000 },
      deltaRetention: 7 * 24 * 3600 * 1000,
      sessionRetention: undefined,
      idempotencyRetention: 24 * 3600 * 1000,
      ringCapacity: 1024,
      maxConcurrentRuns: 64,
      modelSilence: 300_000,
      toolSilence: 3_600_000,
      runSilence: 300_000,
      corsOrigin: [],
      onDisconnect: 'cancel',
      requestDeadline: undefined,
      recovery: 'resume',
      recoveryAttempts: 3,
      shutdownGrace: 8000,
      logLevel: 'info',
      ownerWait: 30_000,
      sseMaxAge: undefined,
      insecure: false,
    })
    expect(Object.isFrozen(config)).toBe(true)
    expect(Object.isFrozen(config.corsOrigin)).toBe(true)
  })

  test('takes every setting from a flag and from a variable, and the flag wins', () => {
    mkdirSync(join(folder, 'a'))
    mkdirSync(join(folder, 'b'))
    const pairs: Readonly<Record<Exclude<keyof Config, 'source'>, readonly [string, string]>> = {
      listen: ['127.0.0.1:1', '127.0.0.1:2'],
      sessionDb: ['/tmp/a.db', '/tmp/b.db'],
      authToken: ['alpha', 'beta'],
      maxRequestSize: ['1', '2'],
      sessionWorkingdirRoot: [join(folder, 'a'), join(folder, 'b')],
      workingDir: [join(folder, 'a'), join(folder, 'b')],
      envFromFile: ['/tmp/a.env', '/tmp/b.env'],
      pullInterval: ['1', '2'],
      eventRetention: ['1d', '2d'],
      deltaRetention: ['1d', '2d'],
      sessionRetention: ['1d', '2d'],
      idempotencyRetention: ['1h', '2h'],
      ringCapacity: ['1', '2'],
      maxConcurrentRuns: ['1', '2'],
      modelSilence: ['1m', 'off'],
      toolSilence: ['1m', 'off'],
      runSilence: ['1m', 'off'],
      corsOrigin: ['http://a', 'http://b'],
      onDisconnect: ['cancel', 'continue'],
      requestDeadline: ['1h', '2h'],
      recovery: ['ask', 'interrupt'],
      recoveryAttempts: ['2', '4'],
      shutdownGrace: ['1s', '2s'],
      logLevel: ['debug', 'trace'],
      ownerWait: ['1s', '2s'],
      sseMaxAge: ['1m', '2m'],
      insecure: ['false', 'true'],
    }
    for (const [key, [byFlag, byVariable]] of Object.entries(pairs)) {
      const kebab = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
      const env = { [`QUARTERDECK_${kebab.replaceAll('-', '_').toUpperCase()}`]: byVariable }
      const read = (text: string) => {
        const list = key === 'corsOrigin' || key === 'envFromFile'
        return Object.entries(parseConfig({ source: 'https://x.test/a', [key]: list ? [text] : text }))
      }
      const source = 'https://x.test/a'
      expect(Object.entries(serve([source], env)), `the variable of ${key}`).toEqual(read(byVariable))
      expect(Object.entries(serve([source, `--${kebab}=${byFlag}`], env)), `--${kebab}`).toEqual(read(byFlag))
    }
    expect(Object.keys({ ...defaults, authToken: '', workingDir: '', sessionWorkingdirRoot: '' }).sort()).toEqual(
      Object.keys(pairs).sort(),
    )
  })

  test('takes an empty variable and an empty flag as nothing said', () => {
    expect(serve(['a'], { QUARTERDECK_AUTH_TOKEN: '', QUARTERDECK_LOG_LEVEL: '' })).toEqual(serve(['a']))
    expect(serve(['a', '--auth-token='], { QUARTERDECK_AUTH_TOKEN: 'secret' }).authToken).toBeUndefined()
  })

  test('adds up what may be repeated, and takes the last of what may not', () => {
    expect(serve(['a', '--cors-origin', 'http://a', '--cors-origin=http://b:1']).corsOrigin).toEqual([
      'http://a',
      'http://b:1',
    ])
    expect(serve(['a'], { QUARTERDECK_CORS_ORIGIN: 'http://a, http://b' }).corsOrigin).toEqual(['http://a', 'http://b'])
    expect(serve(['a', '--ring-capacity', '1', '--ring-capacity', '2']).ringCapacity).toBe(2)
  })

  test('knows the short flags of the ancestor', () => {
    const config = serve(['a', '-l', '[::1]:9', '-s', '~/q.db'])
    expect(config.listen).toEqual({ kind: 'tcp', host: '::1', port: 9 })
    expect(config.sessionDb).toBe(join(homedir(), 'q.db'))
  })

  test('reads durations in days, and zeros that mean never or no limit', () => {
    expect(serve(['a', '--event-retention', '1d12h']).eventRetention).toEqual({ ageMs: 36 * 3600 * 1000 })
    expect(serve(['a', '--event-retention', '1d,500']).eventRetention).toEqual({ ageMs: 24 * 3600 * 1000, newest: 500 })
    expect(serve(['a', '--session-retention', '90d,9']).sessionRetention).toEqual({
      ageMs: 90 * 24 * 3600 * 1000,
      newest: 9,
    })
    expect(serve(['a', '--delta-retention', 'off']).deltaRetention).toBeUndefined()
    expect(serve(['a', '--delta-retention', '0s']).deltaRetention).toBe(0)
    expect(serve(['a', '--max-concurrent-runs', '0']).maxConcurrentRuns).toBe(Number.POSITIVE_INFINITY)
    expect(serve(['a', '--pull-interval', '0']).pullInterval).toBeUndefined()
    expect(serve(['https://x.test/a', '--pull-interval', '2']).pullInterval).toBe(120_000)
    expect(serve(['a', '--shutdown-grace', '0s']).shutdownGrace).toBe(0)
  })

  test.each([
    [['--max-request-size', '0'], '--max-request-size must be a whole number of bytes, at least 1, not "0"'],
    [['--max-request-size', '1e9'], '--max-request-size must be a whole number of bytes, at least 1, not "1e9"'],
    [['--max-concurrent-runs', 'x'], '--max-concurrent-runs must be a whole number of runs, at least 0, not "x"'],
    [['--shutdown-grace', '8'], '--shutdown-grace must be a duration such as 8s or 1m30s, at most 24d, not "8"'],
    [['--shutdown-grace=-8s'], '--shutdown-grace must be a duration such as 8s or 1m30s, at most 24d, not "-8s"'],
    [['--owner-wait', '25d'], '--owner-wait must be a duration such as 8s or 1m30s, at most 24d, not "25d"'],
    [
      ['--sse-max-age', '0s'],
      '--sse-max-age must be a duration such as 30s or 12h, at least 1ms and at most 24d, or off, not "0s"',
    ],
    [
      ['--event-retention', '30 days'],
      '--event-retention must be a duration such as 12h or 30d, or with a number of events such as 30d,100000, not "30 days"',
    ],
    [['--delta-retention', 'never'], '--delta-retention must be a duration such as 12h or 7d, or off, not "never"'],
    [
      ['--session-retention', 'never'],
      '--session-retention must be a duration such as 90d, or with a number of sessions such as 90d,1000, or off, not "never"',
    ],
    [['--log-level', 'loud'], '--log-level must be one of fatal, error, warn, info, debug, trace, silent, not "loud"'],
    [['--on-disconnect', 'stay'], '--on-disconnect must be one of cancel, continue, not "stay"'],
    [['--working-dir', '/no/such'], '--working-dir must be an existing directory, not "/no/such"'],
    [
      ['--cors-origin', 'https://a.test/'],
      '--cors-origin must be an origin such as https://app.example.com, not "https://a.test/"',
    ],
    [['--cors-origin', '*'], '--cors-origin must be an origin such as https://app.example.com, not "*"'],
    [['--cors-origin', 'null'], '--cors-origin must be an origin such as https://app.example.com, not "null"'],
    [['--auth-token', 'a b'], '--auth-token must be printable ASCII characters without spaces'],
    [['--insecure=perhaps'], '--insecure must be true or false, not "perhaps"'],
    [['--listen'], '--listen needs a value'],
    [['--listen', '--insecure'], '--listen needs a value (write --listen=--insecure if "--insecure" is meant)'],
    [
      ['--listen', 'npipe:////./pipe/q'],
      '--listen cannot be used: npipe:// addresses are not supported: write host:port, [ipv6]:port, unix://PATH or fd://N',
    ],
    [
      ['--pull-interval', '5'],
      '--pull-interval is for agent files behind a URL: local ones are read again when they change',
    ],
    [['--colour'], 'there is no flag --colour (quarterdeck --help lists them)'],
    [['-x'], 'there is no flag -x (quarterdeck --help lists them)'],
    [['b.yaml', 'c.yaml'], expect.stringMatching(/^serve takes one source of agents, not 3: /)],
  ])('refuses %j in one sentence', (args, sentence) => {
    expect(complaint(['serve', 'a.yaml', ...args])).toEqual(sentence)
  })

  test('names the variable when the variable is wrong', () => {
    expect(complaint(['serve', 'a'], { QUARTERDECK_RING_CAPACITY: 'many' })).toBe(
      'QUARTERDECK_RING_CAPACITY must be a whole number of events, at least 1, not "many"',
    )
  })

  test.each([
    ...['fake', 'record', 'pprof-addr', 'models-gateway', 'flavor', 'code-mode-tools', 'mcp-oauth-redirect-uri'],
    ...['hook-pre-tool-use', 'hook-post-tool-use', 'hook-session-start', 'hook-session-end', 'hook-on-user-input'],
    ...['hook-stop', 'debug', 'otel', 'log-file', 'cache-dir', 'config-dir', 'data-dir'],
  ])('refuses --%s of docker-agent by name', (flag) => {
    expect(complaint(['serve', 'a.yaml', `--${flag}=x`])).toBe(
      `--${flag} is a flag of docker-agent that quarterdeck does not have`,
    )
  })

  test('does not listen beyond this machine without a token, unless told to', () => {
    for (const address of ['0.0.0.0:80', ':80', '[::]:80', '192.168.1.2:80', 'fd://3']) {
      expect(complaint(['serve', 'a', '--listen', address])).toBe(
        `--listen ${address} may be reached from other machines: set --auth-token, or say --insecure if everybody there may use the server`,
      )
      expect(serve(['a', '--listen', address, '--insecure']).insecure).toBe(true)
      expect(serve(['a', '--listen', address], { QUARTERDECK_AUTH_TOKEN: 't' }).authToken).toBe('t')
    }
    expect(serve(['a', '--listen', 'unix:///tmp/q.sock']).listen.kind).toBe('unix')
  })

  test('says nothing of a token that is wrong', () => {
    expect(complaint(['serve', 'a'], { QUARTERDECK_AUTH_TOKEN: 'se cret' })).not.toContain('cret')
  })
})

describe('the source of agents', () => {
  test('is a path made absolute or an https URL as it stands', () => {
    expect(serve(['./some/agents']).source).toBe(resolve('some/agents'))
    expect(serve(['https://x.test/agent.yaml?tag=1']).source).toBe('https://x.test/agent.yaml?tag=1')
    expect(serve([folder]).source).toBe(folder)
  })

  test.each([
    ['http://x.test/a.yaml', 'agent files are fetched over https only'],
    ['oci://x/y', 'oci:// is not a kind of source that quarterdeck has'],
    ['docker.io/some/agent:1', 'agents in OCI registries are a kind of source that only docker-agent has'],
    ['default', 'built-in agents are a kind of source that only docker-agent has'],
    ['coder', 'built-in agents are a kind of source that only docker-agent has'],
    ['agent.hcl', 'HCL is a format that only docker-agent reads'],
    ['https://', 'it is not a URL'],
  ])('is refused by name when it is %s', (source, reason) => {
    const sentence = complaint(['serve', source])
    expect(sentence).toMatch(/^the source ".*" cannot be served: /)
    expect(sentence).toContain(reason)
  })

  test('may have the name of a built-in agent when there is such a directory', () => {
    writeFileSync(join(folder, 'coder'), '')
    expect(serve([join(folder, 'coder')]).source).toBe(join(folder, 'coder'))
  })
})

describe('the command line', () => {
  test.each([[['--help']], [['-h']], [['help']], [['serve', '--help', '--nonsense']]])(
    'answers %j with its help',
    (args) => {
      const command = parseCommandLine(args, {})
      expect(command).toMatchObject({ kind: 'help', text: expect.stringContaining('--session-db PATH') })
    },
  )

  test('answers --version with its version', () => {
    expect(parseCommandLine(['--version'], {})).toEqual({
      kind: 'version',
      text: expect.stringMatching(/^\d+\.\d+\.\d+/),
    })
  })

  test('names every setting and its default in its help', () => {
    const command = parseCommandLine(['--help'], {})
    const text = command.kind === 'help' ? command.text : ''
    for (const [key, value] of Object.entries(defaults)) {
      expect(text).toContain(`--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`)
      if (typeof value === 'string' && key !== 'insecure') expect(text).toContain(`(default: ${value})`)
    }
  })

  test.each([
    [[], /^a command is missing: quarterdeck serve /],
    [['run', 'a.yaml'], /^there is no command "run": quarterdeck serve /],
  ])('refuses %j', (args, sentence) => {
    expect(complaint(args)).toMatch(sentence)
  })
})
