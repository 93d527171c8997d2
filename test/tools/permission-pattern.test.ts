import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parsePattern } from '../../src/tools/permission-pattern.ts'

type Row = readonly [pattern: string, tool: string, args: unknown, expected: boolean]

const tables: Readonly<Record<string, readonly Row[]>> = {
  'names of tools': [
    ['shell', 'shell', {}, true],
    ['shell', 'shells', {}, false],
    ['Shell', 'sHELL', {}, true],
    ['*', 'anything', undefined, true],
    ['read_*', 'read_file', {}, true],
    ['read_*', 'READ_', {}, true],
    ['read_*', 'reread_file', {}, false],
    ['*_file', 'read_file', {}, true],
    ['re?d', 'read', {}, true],
    ['re?d', 'red', {}, false],
    ['mcp:github:get_*', 'mcp:github:get_issue', {}, true],
    ['mcp:github:get_*', 'mcp:gitlab:get_issue', {}, false],
    ['', 'shell', {}, false],
    ['ÄRGER', 'ärger', {}, true],
  ],
  arguments: [
    ['shell:cmd=ls*', 'shell', { cmd: 'ls -la' }, true],
    ['shell:cmd=ls*', 'shell', { cmd: 'lsof' }, true],
    ['shell:cmd=ls*', 'shell', { cmd: 'cat ls' }, false],
    ['shell:cmd=LS*', 'shell', { cmd: 'ls' }, true],
    ['shell:cmd=ls*:cwd=.', 'shell', { cmd: 'ls', cwd: '.' }, true],
    ['shell:cmd=ls*:cwd=.', 'shell', { cmd: 'ls', cwd: '/' }, false],
    ['shell:cmd=rm*:cmd=*-rf*', 'shell', { cmd: 'rm -rf x' }, true],
    ['shell:cmd=rm*:cmd=*-rf*', 'shell', { cmd: 'rm x' }, false],
    ['fetch:url=https://example.org:8080/*', 'fetch', { url: 'https://example.org:8080/a' }, true],
    ['shell:cmd=echo a:b', 'shell', { cmd: 'echo a:b' }, true],
    ['shell:cmd=*', 'shell', {}, false],
    ['shell:cmd=*', 'shell', undefined, false],
    ['shell:cmd=*', 'shell', ['cmd'], false],
    ['shell:toString=*', 'shell', {}, false],
    ['shell:cmd=', 'shell', { cmd: '' }, true],
    ['shell:cmd=', 'shell', { cmd: 'x' }, false],
    ['*:path=/etc/*', 'write_file', { path: '/etc/a/b' }, true],
  ],
  'wildcards across lines and directories': [
    ['t:a=x*z', 't', { a: 'x/y\n/z' }, true],
    ['t:a=x?z', 't', { a: 'x/z' }, true],
    ['t:a=x?z', 't', { a: 'x\nz' }, true],
    ['t:a=?', 't', { a: '😀' }, true],
    ['t:a=sudo*', 't', { a: 'sudo rm\n-rf' }, true],
    ['t:a=*a*b*', 't', { a: '--a--b--' }, true],
    ['t:a=*a*b', 't', { a: 'abab' }, true],
    ['t:a=**', 't', { a: '' }, true],
  ],
  'classes and escapes': [
    ['t:a=[abc]', 't', { a: 'b' }, true],
    ['t:a=[abc]', 't', { a: 'B' }, true],
    ['t:a=[a-c]x', 't', { a: 'Bx' }, true],
    ['t:a=[A-C]x', 't', { a: 'bx' }, true],
    ['t:a=[a-c]', 't', { a: 'd' }, false],
    ['t:a=[^abc]', 't', { a: 'd' }, true],
    ['t:a=[^abc]', 't', { a: 'A' }, false],
    ['t:a=[^/]*', 't', { a: '/x' }, false],
    ['t:a=[a-]', 't', { a: '-' }, true],
    ['t:a=[\\]]', 't', { a: ']' }, true],
    ['t:a=\\*', 't', { a: '*' }, true],
    ['t:a=\\*', 't', { a: 'x' }, false],
    ['t:a=a\\?', 't', { a: 'a?' }, true],
    ['t:a=[ab', 't', { a: '[ab' }, true],
    ['t:a=[ab*', 't', { a: '[abc' }, true],
    ['t:a=a\\', 't', { a: 'a\\' }, true],
    ['t:a=[]', 't', { a: '[]' }, false],
    ['t:a=[^]', 't', { a: 'x' }, false],
    ['t:a=[z-a]', 't', { a: 'm' }, false],
    ['[z-a]*', 'z', {}, false],
    ['t:a=(.+)', 't', { a: 'x' }, false],
    ['t:a=(.+)', 't', { a: '(.+)' }, true],
  ],
  'arguments that are not text': [
    ['t:a=1e+06', 't', { a: 1_000_000 }, true],
    ['t:a=1000000', 't', { a: 1_000_000 }, false],
    ['t:a=100000', 't', { a: 100_000 }, true],
    ['t:a=1.234567e+06', 't', { a: 1_234_567 }, true],
    ['t:a=0.0001', 't', { a: 0.0001 }, true],
    ['t:a=1e-05', 't', { a: 0.00001 }, true],
    ['t:a=-2.5', 't', { a: -2.5 }, true],
    ['t:a=-2.5e+10', 't', { a: -2.5e10 }, true],
    ['t:a=1e+100', 't', { a: 1e100 }, true],
    ['t:a=0', 't', { a: 0 }, true],
    ['t:a=-0', 't', { a: -0 }, true],
    ['t:a=true', 't', { a: true }, true],
    ['t:a=false', 't', { a: false }, true],
    ['t:a=<nil>', 't', { a: null }, true],
    ['t:a=\\[a b\\]', 't', { a: ['a', 'b'] }, true],
    ['t:a=\\[\\]', 't', { a: [] }, true],
    ['t:a=map\\[a:1 b:\\[x\\]\\]', 't', { a: { b: ['x'], a: 1 } }, true],
    ['t:a=map\\[\\]', 't', { a: {} }, true],
    ['t:a=*"*', 't', { a: { b: 'x' } }, false],
  ],
}

describe('a permission pattern', () => {
  for (const [about, rows] of Object.entries(tables)) {
    describe(`reads ${about}`, () => {
      test.each(rows)('%s on %s %j: %s', (pattern, tool, args, expected) => {
        expect(parsePattern(pattern).matches(tool, args)).toBe(expected)
      })
    })
  }

  test.each<Row>([
    ['shell:cmd=ls*', 'shell', { cmd: 'ls' }, true],
    ['shell:cmd=ls*', 'shell', { cmd: 'ls -l' }, true],
    ['shell:cmd=ls*', 'shell', { cmd: 'lsof' }, false],
    ['shell:cmd=git status*', 'shell', { cmd: 'git status --short' }, true],
    ['shell:cmd=git status*', 'shell', { cmd: 'git statusx' }, false],
    ['shell:cmd=ls *', 'shell', { cmd: 'ls a' }, true],
    ['shell', 'shell', { cmd: 'rm x' }, true],
    ['sh*', 'shell', {}, true],
  ])('stops at the end of a word where that is asked: %s on %s %j: %s', (pattern, tool, args, expected) => {
    expect(parsePattern(pattern).matchesWords(tool, args)).toBe(expected)
  })

  const odd = fc.constantFrom(...'*?[]^-\\:=aZ/\n éßİ(', '\ud800', '😀')
  const text = fc.string({ unit: odd, maxLength: 12 })

  test('never throws, whatever it and the arguments are', () => {
    fc.assert(
      fc.property(
        text,
        text,
        fc.oneof(fc.record({ a: fc.anything() }), fc.anything()),
        text,
        (tool, glob, args, called) => {
          for (const written of [tool, `${tool}:a=${glob}`]) {
            const pattern = parsePattern(written)
            expect(typeof pattern.matches(called, args)).toBe('boolean')
            expect(typeof pattern.matchesWords(called, args)).toBe('boolean')
          }
        },
      ),
    )
  })

  test('matches every text that it spells out, and no other', () => {
    fc.assert(
      fc.property(fc.string({ unit: odd }), (a) => {
        const pattern = parsePattern(`t:a=${[...a].map((char) => `\\${char}`).join('')}`)
        fc.pre(!/:\\?\w*=/.test(a))
        expect(pattern.matches('t', { a })).toBe(true)
        expect(pattern.matches('t', { a: `${a}x` })).toBe(false)
      }),
    )
  })

  test('finds a text anywhere between two stars', () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        expect(parsePattern('t:a=*needle*').matches('t', { a: `${before}Needle${after}` })).toBe(true)
      }),
    )
  })

  test('sees through arguments that are nested without end', () => {
    const deep: unknown = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`)
    expect(parsePattern('t:a=*').matches('t', { a: deep })).toBe(true)
  })

  test('takes on a long text with many stars without going back to each of them', () => {
    const pattern = parsePattern(`t:a=${'*a'.repeat(30)}b`)
    expect(pattern.matches('t', { a: 'a'.repeat(20_000) })).toBe(false)
  })
})
