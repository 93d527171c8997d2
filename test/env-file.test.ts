import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EnvFileError, parseEnvFile, readEnvFiles } from '../src/env-file.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-env-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('an environment file', () => {
  test('gives the variables of its lines', () => {
    const text = [
      '\uFEFF# keys',
      'PLAIN=sk-1',
      '  export SPACED = two words  ',
      'COMMENTED=value # not this',
      'HASH=a#b',
      'EMPTY=',
      'ONLY_COMMENT= # nothing',
      'EQUALS=a=b=c',
      `SINGLE='as # it \\n is' # comment`,
      `DOUBLE="line\\none \\"two\\" \\\\ # three"`,
      '',
      '   # last',
    ].join('\r\n')
    expect(parseEnvFile(text, 'x')).toEqual({
      PLAIN: 'sk-1',
      SPACED: 'two words',
      COMMENTED: 'value',
      HASH: 'a#b',
      EMPTY: '',
      ONLY_COMMENT: '',
      EQUALS: 'a=b=c',
      SINGLE: 'as # it \\n is',
      DOUBLE: 'line\none "two" \\ # three',
    })
  })

  test.each(['no equals', '1KEY=x', 'KEY="open', `KEY='open`, 'KEY="a" b', '=x'])(
    'names the line of %j without its text',
    (line) => {
      expect(() => parseEnvFile(`A=1\n${line}`, 'keys.env')).toThrow(
        new EnvFileError('line 2 of keys.env is not KEY=VALUE'),
      )
    },
  )

  test('refuses the settings of the server itself, which would come too late', () => {
    expect(() => parseEnvFile('QUARTERDECK_AUTH_TOKEN=x', 'keys.env')).toThrow(
      /^line 1 of keys.env sets QUARTERDECK_AUTH_TOKEN/,
    )
  })

  test('gives way to a later one', () => {
    writeFileSync(join(folder, 'a'), 'ONE=1\nTWO=2\n')
    writeFileSync(join(folder, 'b'), 'TWO=b\n')
    expect(readEnvFiles([join(folder, 'a'), join(folder, 'b')])).toEqual({ ONE: '1', TWO: 'b' })
    expect(readEnvFiles([])).toEqual({})
  })

  test('is named when it cannot be read', () => {
    const path = join(folder, 'none')
    expect(() => readEnvFiles([path])).toThrow(
      new EnvFileError(`cannot read the environment file ${path}: there is no such file`),
    )
  })
})
