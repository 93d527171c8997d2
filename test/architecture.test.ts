import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** Which rooms a room may import, always through their doors. Types count as well. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  net: [],
  'event-log': ['protocol'],
  store: ['protocol'],
  'agent-file': ['protocol', 'net'],
  models: ['protocol'],
  tools: ['protocol', 'net'],
  runtime: ['protocol', 'agent-file', 'models', 'tools'],
  'session-manager': ['protocol', 'event-log', 'store', 'runtime'],
  server: ['protocol', 'event-log', 'runtime', 'session-manager'],
}

/** Which rooms the files of the process may import. Those that are not named import none but the protocol. */
const processMayImport: Readonly<Record<string, readonly string[]>> = {
  'app.ts': Object.keys(mayImport),
  'index.ts': Object.keys(mayImport),
  'config.ts': ['protocol', 'server'],
}

/** The files that put rooms together, and so name what stands behind their doors. */
const composition = ['app.ts', 'index.ts']

/** The files that list promises, with the letter of their numbers. */
const promises: Readonly<Record<string, string>> = {
  'event-log/event-log.ts': 'L',
  'store/store.ts': 'S',
  'runtime/runtime.ts': 'R',
  'session-manager/live-session.ts': 'M',
  'agent-file/agent-file.ts': 'F',
  'models/models.ts': 'A',
  'tools/tools.ts': 'T',
}

interface Import {
  /** Both below `src`, with slashes. */
  readonly from: string
  readonly to: string
}

const sources = filesBelow('src')
const imports = sources.flatMap(importsOf)

describe('the rooms', () => {
  test('are all in the table', () => {
    expect([...new Set(sources.map(roomOf))].filter((room) => room !== '' && !(room in mayImport))).toEqual([])
  })

  test('import only the rooms that they may', () => {
    const wrong = imports.filter(({ from, to }) => roomOf(to) !== '' && isElsewhere(from, to) && !isAllowed(from, to))
    expect(wrong.map(pair)).toEqual([])
  })

  test('import other rooms through their doors', () => {
    const past = imports.filter(({ from, to }) => roomOf(to) !== '' && isElsewhere(from, to) && to !== doorOf(to))
    const wrong = past.filter(({ from }) => !composition.includes(from))
    expect(wrong.map(pair)).toEqual([])
  })

  test('know nothing of the process', () => {
    expect(imports.filter(({ from, to }) => roomOf(from) !== '' && roomOf(to) === '').map(pair)).toEqual([])
  })

  test('speak a protocol that runs in a browser', () => {
    const foreign = sources.filter((file) => roomOf(file) === 'protocol').flatMap(specifiersIn)
    const others = foreign.filter((specifier) => !specifier.startsWith('.'))
    expect([...new Set(others)].sort()).toEqual(['ulid', 'zod'])
  })
})

describe('the promises', () => {
  const cited = new Set(filesBelow('test').flatMap((file) => titlesIn(file).flatMap(numbersIn)))
  const made = Object.entries(promises).flatMap(([file, letter]) => {
    return promisesIn(file).map((number) => ({ number, letter, file }))
  })

  test.each(made)('$number of $file has the letter of its door and is cited by a test', ({ number, letter }) => {
    expect(number[0]).toBe(letter)
    expect(cited).toContain(number)
  })

  test('are made by every door in the table', () => {
    const files = new Set(made.map(({ file }) => file))
    expect(Object.keys(promises).filter((file) => !files.has(file))).toEqual([])
  })

  test('are cited by tests only when they exist', () => {
    const numbers = new Set(made.map(({ number }) => number))
    expect([...cited].filter((number) => !numbers.has(number))).toEqual([])
  })

  test('are made nowhere else', () => {
    expect(sources.filter((file) => !(file in promises) && promisesIn(file).length > 0)).toEqual([])
  })
})

/** The TypeScript files below a folder of the repository, relative to it, with slashes. */
function filesBelow(folder: string): readonly string[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return names.filter((name) => name.endsWith('.ts')).map((name) => name.split(sep).join('/'))
}

function textOf(folder: string, file: string): string {
  return readFileSync(join(root, folder, file), 'utf8')
}

/** What a source imports: statically, as types, again exported, later, or as the file of a worker. */
function specifiersIn(file: string): readonly string[] {
  const text = textOf('src', file)
  const patterns = [/\bfrom\s+'([^']+)'/g, /\bimport\s*\(?\s*'([^']+)'/g, /\bnew URL\(\s*'(\.[^']+)'/g]
  return patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, specifier = '']) => specifier))
}

function importsOf(file: string): readonly Import[] {
  const relatives = specifiersIn(file).filter((specifier) => specifier.startsWith('.'))
  const inside = relatives.map((specifier) => {
    const path = resolve(root, 'src', file, '..', specifier)
    return { from: file, to: relative(join(root, 'src'), path).split(sep).join('/') }
  })
  return inside.filter(({ to }) => !to.startsWith('..'))
}

/** The room of a file; empty for the files of the process. */
function roomOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : ''
}

function doorOf(file: string): string {
  return `${roomOf(file)}/${roomOf(file)}.ts`
}

function isElsewhere(from: string, to: string): boolean {
  return roomOf(from) !== roomOf(to)
}

function isAllowed(from: string, to: string): boolean {
  const allowed = roomOf(from) === '' ? (processMayImport[from] ?? ['protocol']) : (mayImport[roomOf(from)] ?? [])
  return allowed.includes(roomOf(to))
}

function pair({ from, to }: Import): string {
  return `${from} -> ${to}`
}

/** Promises are listed in docstrings, each at the beginning of a line. */
function promisesIn(file: string): readonly string[] {
  return [...textOf('src', file).matchAll(/^ *\* (?:- )?([A-Z]\d+)\b/gm)].map(([, number = '']) => number)
}

/** Titles stand right behind the name of the function, or behind the table of an `each`. */
function titlesIn(file: string): readonly string[] {
  const title =
    /(?:\b(?:test|it|describe)(?:\.\w+)*(?:\([^\n']*\))?|^ *(?:[\])]+|\] as const\)))\(\s*(['"`])((?:(?!\1).)*)\1/gm
  return [...textOf('test', file).matchAll(title)].map(([, , text = '']) => text)
}

function numbersIn(title: string): readonly string[] {
  const letters = Object.values(promises).join('')
  return title.match(new RegExp(`\\b[${letters}]\\d+\\b`, 'g')) ?? []
}
