import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Started, start } from './process.ts'

const program = resolve(import.meta.dirname, '../bin/quarterdeck.js')
const clean = { code: 0, signal: null }

let folder: string
let running: Started[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-main-'))
  writeFileSync(
    join(folder, 'demo.yaml'),
    'agents:\n  root:\n    model: openai/gpt-5-mini\n    instruction: Be brief.\n',
  )
  running = []
})

afterEach(async () => {
  for (const server of running) server.kill('SIGKILL')
  await Promise.all(running.map((server) => server.exit))
  rmSync(folder, { recursive: true, force: true })
})

function quarterdeck(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  inherit: readonly number[] = [],
) {
  const server = start([program, ...args], { cwd: folder, env, inherit })
  running.push(server)
  return server
}

function serve(...args: string[]) {
  return quarterdeck(['serve', 'demo.yaml', '--listen', '127.0.0.1:0', ...args])
}

describe('the process', () => {
  test('prints its help and its version', async () => {
    const help = quarterdeck(['serve', '--help'])
    expect(await help.exit).toEqual(clean)
    expect(help.stdout()).toContain('--session-workingdir-root DIR')
    const version = quarterdeck(['--version'])
    expect(await version.exit).toEqual(clean)
    expect(version.stdout()).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test('ends a wrong call with one sentence and code 2', async () => {
    const server = serve('--fake', 'cassette.yaml')
    expect(await server.exit).toEqual({ code: 2, signal: null })
    expect(server.stderr()).toBe('quarterdeck: --fake is a flag of docker-agent that quarterdeck does not have\n')
    expect(server.stdout()).toBe('')
  })

  test('ends with one sentence and code 1 when the port is taken', async () => {
    const first = new URL(await serve().url)
    const second = quarterdeck([
      'serve',
      'demo.yaml',
      '--listen',
      first.host,
      '--session-db',
      'second.db',
      '--log-level',
      'error',
    ])
    expect(await second.exit).toEqual({ code: 1, signal: null })
    expect(second.stderr()).toBe(`quarterdeck: cannot listen on ${first.host}: another process already listens there\n`)
  })

  test('ends with one sentence and code 1 when the agent file cannot be read', async () => {
    const server = quarterdeck(['serve', 'nowhere.yaml', '--listen', '127.0.0.1:0', '--log-level', 'error'])
    expect(await server.exit).toEqual({ code: 1, signal: null })
    expect(server.stderr()).toMatch(/^quarterdeck: .*nowhere\.yaml.*\n$/)
  })

  test('ends with one sentence and code 1 when an environment file cannot be read', async () => {
    const server = serve('--env-from-file', 'nowhere.env', '--log-level', 'error')
    expect(await server.exit).toEqual({ code: 1, signal: null })
    expect(server.stderr()).toMatch(/^quarterdeck: cannot read .*nowhere\.env: there is no such file\n$/)
  })

  test.each([
    ['a directory', (path: string) => mkdirSync(path), /it is a directory, and a database is a file/],
    ['a text', (path: string) => writeFileSync(path, 'hello'), /choose another file with --session-db/],
    ['in no directory', (path: string) => writeFileSync(`${path}.x`, ''), /part of its path is a file/, 'a.db.x/a.db'],
  ])('ends with one sentence that says what to do when the database is %s', async (_, make, why, name = 'a.db') => {
    make(join(folder, 'a.db'))
    const server = serve('--session-db', name, '--log-level', 'error')
    expect(await server.exit).toEqual({ code: 1, signal: null })
    expect(server.stderr()).toMatch(/^quarterdeck: .*\n$/)
    expect(server.stderr()).toMatch(why)
  })

  test('warns when there is no agent, or one that cannot be used', async () => {
    const args = ['--listen', '127.0.0.1:0']
    mkdirSync(join(folder, 'none'))
    mkdirSync(join(folder, 'some'))
    writeFileSync(join(folder, 'some/bad.yaml'), 'agents: [oops')
    const none = quarterdeck(['serve', 'none', '--session-db', 'none.db', ...args])
    await none.logged('no agent files were found')
    const some = quarterdeck(['serve', 'some', '--session-db', 'some.db', ...args])
    await some.logged('an agent file cannot be used')
    expect(some.stderr()).toMatch(/"agent":"bad","error":".*line 1.*"/)
  })

  test('says on stdout where it listens and what to try, and nothing else', async () => {
    const server = serve()
    const url = await server.url
    expect((await fetch(`${url}/health`)).status).toBe(200)
    server.kill('SIGTERM')
    await server.exit
    const lines = server.stdout().split('\n')
    expect(lines).toEqual([`quarterdeck listens on ${url}`, expect.stringContaining(`${url}/api/sessions`), ''])
    expect(lines[1]).toMatch(/^curl .*\/agent\/demo/)
  })

  test('never writes its token', async () => {
    const args = ['serve', 'demo.yaml', '--listen', '127.0.0.1:0', '--log-level', 'trace']
    const server = quarterdeck(args, { QUARTERDECK_AUTH_TOKEN: 'hush-hush' })
    await server.url
    server.kill('SIGTERM')
    await server.exit
    expect(server.stdout()).toContain('$QUARTERDECK_AUTH_TOKEN')
    expect(server.stdout() + server.stderr()).not.toContain('hush-hush')
  })

  test.skipIf(!existsSync('/dev/full'))(
    'goes on when its log takes no line, as on a full disk (where there is /dev/full)',
    async () => {
      mkdirSync(join(folder, 'none'))
      const args = [process.execPath, program, 'serve', 'none', '--listen', '127.0.0.1:0']
      const server = start(['-c', 'exec "$@" 2>/dev/full', 'sh', ...args], { program: '/bin/sh', cwd: folder })
      running.push(server)
      const url = await server.url
      // The warning that there is no agent, and what is said at the end: neither gets through.
      expect(await (await fetch(`${url}/api/agents`)).json()).toEqual([])
      server.kill('SIGTERM')
      expect(await server.exit).toEqual(clean)
    },
  )

  test('serves a socket that its parent opened', async () => {
    const parent = createServer()
    const { fd, port } = await new Promise<{ fd: number; port: number }>((done) => {
      parent.listen(0, '127.0.0.1', () => done({ fd: descriptorOf(parent), port: portOf(parent) }))
    })
    const args = ['serve', 'demo.yaml', '--listen', 'fd://3', '--insecure']
    const server = quarterdeck(args, {}, [fd])
    expect(await server.url).toBe(`http://127.0.0.1:${port}`)
    await new Promise((done) => parent.close(done))
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200)
  })

  test('refuses to inherit what is not a socket', async () => {
    const fd = openSync(join(folder, 'demo.yaml'), 'r')
    const server = quarterdeck(['serve', 'demo.yaml', '--listen', 'fd://3', '--insecure', '--log-level', 'error'], {}, [
      fd,
    ])
    closeSync(fd)
    expect(await server.exit).toEqual({ code: 1, signal: null })
    expect(server.stderr()).toMatch(/^quarterdeck: cannot listen on fd:\/\/3: .*\n$/)
  })
})

describe('a defect', () => {
  test.each([
    ['an exception', 'throw new Error("boom")'],
    ['a rejection', 'Promise.reject(new Error("boom"))'],
  ])('that is %s nobody caught is logged once and ends the process with code 1', async (_, statement) => {
    const plant = `data:text/javascript,process.on("SIGUSR2",()=>{${statement}})`
    const server = start(['--import', plant, program, 'serve', 'demo.yaml', '--listen', '127.0.0.1:0'], { cwd: folder })
    running.push(server)
    await server.url
    server.kill('SIGUSR2')
    expect(await server.exit).toEqual({ code: 1, signal: null })
    expect(server.stderr().match(/"level":60/g)).toHaveLength(1)
    expect(server.stderr()).toContain('boom')
  })
})

describe('the launcher', () => {
  test('says in one sentence that this Node is too old', async () => {
    const disguise = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"20.20.2"}})'
    const server = start(['--import', disguise, program, 'serve'], { cwd: folder })
    expect(await server.exit).toEqual({ code: 1, signal: null })
    expect(server.stderr()).toBe('quarterdeck: Node 24 or newer is needed, this is Node 20.20.2\n')
  })
})

describe('a signal', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('ends the process in order, with code 0, when it is %s', async (signal) => {
    const server = serve()
    await server.url
    server.kill(signal)
    expect(await server.exit).toEqual(clean)
  })

  test('counts once when npm hands it on a second time', async () => {
    const server = serve()
    await server.url
    server.kill('SIGINT')
    server.kill('SIGINT')
    expect(await server.exit).toEqual(clean)
  })

  test('ends the process at once when it is a second one', async () => {
    const server = serve()
    // A request that never ends keeps the process from ending in order right away.
    const { hostname, port } = new URL(await server.url)
    const client = connect(Number(port), hostname)
    client.on('error', () => {})
    await new Promise((done) => client.write('GET /health HTTP/1.1\r\n', done))
    server.kill('SIGTERM')
    await server.logged('closing')
    server.kill('SIGINT')
    expect(await server.exit).toEqual({ code: 130, signal: null })
    client.destroy()
  })
})

function descriptorOf(server: ReturnType<typeof createServer>): number {
  const handle: unknown = Reflect.get(server, '_handle')
  if (typeof handle === 'object' && handle !== null && 'fd' in handle) return Number(handle.fd)
  throw new Error('the server has no descriptor')
}

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address()
  if (typeof address === 'object' && address !== null) return address.port
  throw new Error('the server has no port')
}
