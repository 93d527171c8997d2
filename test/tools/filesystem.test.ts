import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { ToolsetDefinition } from '../../src/tools/tools.ts'
import { call } from './call.ts'
import { started, type World, world } from './world.ts'

const pixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** What this process has open; others of its files may close meanwhile. */
function openFiles(): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return []
    }
  })
}

function put(home: World, files: Readonly<Record<string, string | Buffer>>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(home.root, name, '..'), { recursive: true })
    writeFileSync(join(home.root, name), content)
  }
}

async function open(home: World, definition: Partial<ToolsetDefinition> = {}) {
  const toolset = await started({ type: 'filesystem', ...definition }, home.environment)
  return (name: string, args: object) => call(toolset, name, args).result
}

describe('reading files', () => {
  const text = Array.from({ length: 5000 }, (_, index) => `line ${index + 1}\n`).join('')

  it.each([
    ['a whole file', { path: 'short.txt' }, 'one\ntwo\nthree'],
    ['by an absolute path', { path: '<root>/short.txt' }, 'one\ntwo\nthree'],
    ['from the home directory', { path: '~/note.txt' }, 'at home'],
    ['a part', { path: 'short.txt', line: 2, limit: 1 }, 'two\n'],
    ['to the end', { path: 'short.txt', line: 3, limit: 9 }, 'three'],
    ['an empty file', { path: 'empty.txt' }, ''],
    ['after nulls for what was not said', { path: 'short.txt', line: null, limit: null }, 'one\ntwo\nthree'],
  ])('reads %s', async (_, args, output) => {
    const home = world()
    put(home, { 'short.txt': 'one\ntwo\nthree', 'empty.txt': '', 'home/note.txt': 'at home' })
    const ask = await open(home)
    expect(await ask('read_file', { ...args, path: args.path.replace('<root>', home.root) })).toEqual({ output })
  })

  it('reads a long file in parts and says where the next begins', async () => {
    const home = world()
    put(home, { 'long.txt': text })
    const ask = await open(home)
    let read = ''
    for (let line: number | undefined = 1; line !== undefined; ) {
      const { output } = await ask('read_file', { path: 'long.txt', line })
      const next = /\n\n\[Lines \d+ to \d+; read on with line (\d+)\]$/.exec(output)
      read += next === null ? output : output.slice(0, next.index)
      line = next === null ? undefined : Number(next[1])
    }
    expect(read).toBe(text)
  })

  it.skipIf(!existsSync('/proc/self/fd'))(
    'closes the file of a call that is stopped at once (needs /proc)',
    async () => {
      const home = world()
      put(home, { 'short.txt': 'one' })
      const toolset = await started({ type: 'filesystem' }, home.environment)
      const reading = call(toolset, 'read_file', { path: 'short.txt' })
      reading.stop(new Error('enough'))
      await expect(reading.result).rejects.toThrow()
      expect(openFiles().filter((path) => path.endsWith('short.txt'))).toEqual([])
    },
  )

  it('reads the beginning of a line that is too long', async () => {
    const home = world()
    put(home, { 'line.txt': 'x'.repeat(3_000_000) })
    const { output } = await (await open(home))('read_file', { path: 'line.txt' })
    expect(output.length).toBeLessThan(50_000)
    expect(output).toContain('Only the beginning of line 1')
  })

  it('shows images', async () => {
    const home = world()
    put(home, { 'pixel.dat': pixel })
    const result = await (await open(home))('read_file', { path: 'pixel.dat' })
    expect(result.images).toEqual([{ data: pixel.toString('base64'), mimeType: 'image/png' }])
    const many = await (await open(home))('read_multiple_files', { paths: Array(6).fill('pixel.dat') })
    expect(many.images).toHaveLength(4)
    expect(many.output.match(/Error: More than 4 images/g)).toHaveLength(2)
  })

  it.each([
    ['a file that is missing', { path: 'nothing.txt' }, '<root>/nothing.txt'],
    ['a directory', { path: 'folder' }, 'is a directory'],
    ['a binary file', { path: 'folder/binary' }, 'is a binary file of 4 bytes'],
    ['a pipe, which might never end', { path: 'pipe' }, 'is not a regular file'],
    ['a line beyond the end', { path: 'folder/text', line: 9 }, 'fewer than 9 lines'],
    ['a path with a NUL', { path: 'a\0b' }, 'NUL'],
  ])('refuses %s', async (_, args, output) => {
    const home = world()
    put(home, { 'folder/binary': Buffer.from([1, 0, 2, 3]), 'folder/text': 'x' })
    execFileSync('mkfifo', [join(home.root, 'pipe')])
    const result = await (await open(home))('read_file', args)
    expect(result).toMatchObject({
      isError: true,
      output: expect.stringContaining(output.replace('<root>', home.root)),
    })
  })

  it('reads several files, with the errors of some', async () => {
    const home = world()
    put(home, { a: 'first', b: 'second' })
    const ask = await open(home)
    const { output, isError } = await ask('read_multiple_files', { paths: ['a', 'none', 'b'] })
    expect(isError).toBeUndefined()
    expect(output).toMatch(/^=== a ===\nfirst\n\n=== none ===\nError: .*\n\n=== b ===\nsecond$/)
    const asJson = await ask('read_multiple_files', { paths: '["a","none"]', json: true })
    expect(JSON.parse(asJson.output)).toEqual([
      { path: 'a', content: 'first' },
      { path: 'none', error: expect.stringContaining('ENOENT') },
    ])
    expect(await ask('read_multiple_files', { paths: 'none' })).toMatchObject({ isError: true })
  })
})

describe('changing files', () => {
  it.each([
    ['write_file', { path: '/proc/nowhere/at/all', content: '' }],
    ['create_directory', { paths: ['/proc/nowhere/at/all'] }],
  ])('gives up where no directory can be made: %s', async (tool, args) => {
    const ask = await open(world())
    expect(await ask(tool, args)).toMatchObject({ isError: true, output: expect.stringContaining('/proc') })
  })

  it('makes the directories of files that are written at the same time', async () => {
    const home = world()
    const ask = await open(home)
    const names = ['a', 'b', 'c', 'd']
    await Promise.all(names.map((name) => ask('write_file', { path: `deep/er/${name}`, content: name })))
    expect(readdirSync(join(home.root, 'deep/er'))).toEqual(names)
  })

  it('shows nobody the text of a file before it has the mode of the old one', async () => {
    const home = world()
    put(home, { secret: 'old' })
    chmodSync(join(home.root, 'secret'), 0o600)
    const ask = await open(home)
    const modes = new Set<number>()
    let isWritten = false
    const written = ask('write_file', { path: 'secret', content: 'x'.repeat(20_000_000) }).finally(() => {
      isWritten = true
    })
    while (!isWritten) {
      for (const name of readdirSync(home.root)) {
        const mode = statSync(join(home.root, name), { throwIfNoEntry: false })?.mode
        if (name.startsWith('.quarterdeck') && mode !== undefined) modes.add(mode & 0o777)
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    await written
    expect([...modes]).toEqual([0o600])
  })

  it('writes a file and the directories above it, and keeps the mode of an old one', async () => {
    const home = world()
    put(home, { 'run.sh': 'old' })
    chmodSync(join(home.root, 'run.sh'), 0o750)
    const ask = await open(home)
    expect((await ask('write_file', { path: 'run.sh', content: 'new' })).isError).toBeUndefined()
    expect((await ask('write_file', { path: 'deep/er/file', content: 'é' })).output).toContain('2 bytes')
    expect(readFileSync(join(home.root, 'run.sh'), 'utf8')).toBe('new')
    expect(statSync(join(home.root, 'run.sh')).mode & 0o777).toBe(0o750)
    expect(readFileSync(join(home.root, 'deep/er/file'), 'utf8')).toBe('é')
    expect(readdirSync(home.root).filter((name) => name.startsWith('.quarterdeck'))).toEqual([])
  })

  it('writes where a link leads and leaves the link', async () => {
    const home = world()
    put(home, { 'real/file': 'old' })
    symlinkSync('real/file', join(home.root, 'link'))
    await (await open(home))('write_file', { path: 'link', content: 'new' })
    expect(readFileSync(join(home.root, 'real/file'), 'utf8')).toBe('new')
    expect(
      readdirSync(home.root, { withFileTypes: true })
        .find(({ name }) => name === 'link')
        ?.isSymbolicLink(),
    ).toBe(true)
  })

  it.each([
    ['one edit', 'a b c', [{ oldText: 'b', newText: 'B' }], 'a B c'],
    [
      'edits that follow from each other',
      'a',
      [
        { oldText: 'a', newText: 'b' },
        { oldText: 'b', newText: '$& c' },
      ],
      '$& c',
    ],
    ['an edit that stands alone', 'a', { oldText: 'a', newText: 'b' }, 'b'],
    ['lines of another system', 'a\r\nb\r\nc', [{ oldText: 'a\nb', newText: 'x\ny' }], 'x\r\ny\r\nc'],
  ])('makes %s', async (_, before, edits, after) => {
    const home = world()
    put(home, { file: before })
    expect((await (await open(home))('edit_file', { path: 'file', edits })).isError).toBeUndefined()
    expect(readFileSync(join(home.root, 'file'), 'utf8')).toBe(after)
  })

  it.each([
    ['an edit of what is not there', [{ oldText: 'z', newText: '' }], 'edits[0]: oldText is not in the file'],
    [
      'an edit that could mean several places',
      [{ oldText: 'a', newText: '' }],
      'edits[0]: oldText is in the file 2 times',
    ],
    ['an edit of nothing', [{ oldText: '', newText: 'x' }], 'edits[0]: oldText must not be empty'],
    [
      'a second edit that is wrong',
      [
        { oldText: 'b', newText: 'c' },
        { oldText: 'b', newText: '' },
      ],
      'edits[1]',
    ],
    ['no edits', [], 'edits'],
  ])('refuses %s and changes nothing', async (_, edits, output) => {
    const home = world()
    put(home, { file: 'a b a' })
    const result = await (await open(home))('edit_file', { path: 'file', edits })
    expect(result).toMatchObject({ isError: true, output: expect.stringContaining(output) })
    expect(readFileSync(join(home.root, 'file'), 'utf8')).toBe('a b a')
  })

  it('loses none of the edits that are made to one file at the same time', async () => {
    const home = world()
    const names = Array.from({ length: 20 }, (_, index) => `<${index}>`)
    put(home, { file: names.join('') })
    const ask = await open(home)
    await Promise.all(names.map((name) => ask('edit_file', { path: 'file', edits: [{ oldText: name, newText: '.' }] })))
    expect(readFileSync(join(home.root, 'file'), 'utf8')).toBe('.'.repeat(20))
  })

  it('runs the commands for files that were changed, and tells of those that fail', async () => {
    const home = world()
    const post_edit = [
      { path: '*.txt', cmd: 'echo "seen ${file}" >> log' },
      { path: 'src/*.txt', cmd: 'echo bad; exit 1' },
      { path: '*.go', cmd: 'touch never' },
    ]
    const ask = await open(home, { post_edit })
    await ask('write_file', { path: "it's $(touch oops).txt", content: 'x' })
    const { output, isError } = await ask('write_file', { path: 'src/b.txt', content: 'x' })
    expect(isError).toBeUndefined()
    expect(output).toContain('Warning: `echo bad; exit 1` failed after the change:\nbad')
    expect(readFileSync(join(home.root, 'log'), 'utf8')).toBe(
      `seen ${home.root}/it's $(touch oops).txt\nseen ${home.root}/src/b.txt\n`,
    )
    expect(existsSync(join(home.root, 'never')) || existsSync(join(home.root, 'oops'))).toBe(false)
  })

  it('creates and removes directories, and those only when they are empty', async () => {
    const home = world()
    put(home, { 'full/file': 'x' })
    const ask = await open(home)
    expect((await ask('create_directory', { paths: ['a/b', 'a/c'] })).isError).toBeUndefined()
    const result = await ask('remove_directory', { paths: ['a/b', 'full', 'a/none'] })
    expect(result.isError).toBe(true)
    expect(result.output).toMatch(/^a\/b was removed\nError: ENOTEMPTY.*\nError: ENOENT/)
    expect(readdirSync(join(home.root, 'a'))).toEqual(['c'])
    expect(readdirSync(join(home.root, 'full'))).toEqual(['file'])
  })
})

describe('the bounds of files', () => {
  it.each([
    ['inside', 'in/file', true],
    ['a link that stays inside', 'in/good-link', true],
    ['outside', 'out/file', false],
    ['a way out', 'in/../out/file', false],
    ['a neighbour with a similar name', 'in-side/file', false],
    ['a link that leads out', 'in/bad-link', false],
    ['what is behind a directory that leads out', 'in/bad-folder/file', false],
    ['a directory that is closed inside', 'in/closed/file', false],
  ])('decide about %s', async (_, path, allowed) => {
    const home = world()
    put(home, { 'in/file': 'x', 'out/file': 'x', 'in-side/file': 'x', 'in/closed/file': 'x' })
    symlinkSync('file', join(home.root, 'in/good-link'))
    symlinkSync('../out/file', join(home.root, 'in/bad-link'))
    symlinkSync('../out', join(home.root, 'in/bad-folder'))
    const ask = await open(home, { allow_list: ['in'], deny_list: ['${env.HOME}/../in/closed'] })
    const read = await ask('read_file', { path })
    const wrote = await ask('write_file', { path, content: 'y' })
    expect([read.isError !== true, wrote.isError !== true]).toEqual([allowed, allowed])
    if (!allowed) expect(read.output).toContain('is outside of the directories that may be used')
  })

  it('hold for a link to something that is not there yet', async () => {
    const home = world()
    put(home, { 'in/file': 'x' })
    symlinkSync('../new', join(home.root, 'in/link'))
    const ask = await open(home, { allow_list: ['in'] })
    expect(await ask('write_file', { path: 'in/link', content: 'y' })).toMatchObject({ isError: true })
    expect(existsSync(join(home.root, 'new'))).toBe(false)
  })

  it('hold for lists and searches', async () => {
    const home = world()
    put(home, { 'open/a': 'word', 'closed/b': 'word' })
    const ask = await open(home, { deny_list: ['closed'] })
    expect((await ask('list_directory', { path: '.' })).output).toBe('DIRECTORY open')
    expect((await ask('directory_tree', { path: '.' })).output).not.toContain('closed')
    expect((await ask('search_files_content', { path: '.', query: 'word' })).output).toBe('open/a:1: word')
    expect(await ask('list_directory', { path: 'closed' })).toMatchObject({ isError: true })
  })

  it('let a link out of all lists when there are none', async () => {
    const home = world()
    symlinkSync('/etc', join(home.root, 'etc'))
    expect((await (await open(home))('list_directory', { path: 'etc' })).isError).toBeUndefined()
  })
})

describe('finding files', () => {
  const repository = {
    '.git/HEAD': 'word',
    '.gitignore': 'built/\n*.log\n!keep.log\n',
    'src/a.ts': 'one word\nnothing\nWord again\n',
    'src/.gitignore': 'local\n',
    'src/local': 'word',
    'built/out.js': 'word',
    'x.log': 'word',
    'keep.log': 'word',
  }

  it.each([
    [true, ['.gitignore', 'keep.log', 'src/.gitignore', 'src/a.ts']],
    [
      false,
      ['.git/HEAD', '.gitignore', 'built/out.js', 'keep.log', 'src/.gitignore', 'src/a.ts', 'src/local', 'x.log'],
    ],
  ])('leaves out what Git ignores: %s', async (ignore_vcs, names) => {
    const home = world()
    put(home, repository)
    const ask = await open(home, { ignore_vcs })
    const { output } = await ask('search_files_content', { path: '.', query: '', is_regex: true, excludePatterns: [] })
    expect(output).toContain('query')
    const found = await ask('search_files_content', { path: '.', query: '.', is_regex: true })
    expect([...new Set(found.output.split('\n').map((line) => line.split(':')[0]))].sort()).toEqual(names)
  })

  it('passes over rules of a hostile repository that would take for ever', async () => {
    const home = world()
    const deep = 'a/'.repeat(60)
    const rules = [`${'a/**/'.repeat(12)}b`, `${'*[ab]'.repeat(20)}*c`, '*.log', '**/built/**/*.o']
    const name = 'ab'.repeat(60)
    put(home, {
      '.git/HEAD': 'y',
      '.gitignore': rules.join('\n'),
      [`${deep}${name}`]: 'x',
      [`${deep}x.log`]: 'x',
      'built/x/y.o': 'x',
    })
    const ask = await open(home)
    expect((await ask('list_directory', { path: deep })).output).toBe(`FILE ${name}`)
    expect((await ask('search_files_content', { path: '.', query: 'x' })).output).toBe(`${deep}${name}:1: x`)
  })

  it('lists a directory, and says what is hidden of one that seems empty', async () => {
    const home = world()
    put(home, { ...repository, 'only/x.log': '' })
    mkdirSync(join(home.root, 'empty'))
    symlinkSync('src', join(home.root, 'link'))
    const ask = await open(home)
    const lines = (await ask('list_directory', { path: '.' })).output.split('\n')
    expect(lines).toEqual([
      'FILE .gitignore',
      'DIRECTORY empty',
      'FILE keep.log',
      'LINK link',
      'DIRECTORY only',
      'DIRECTORY src',
    ])
    expect((await ask('list_directory', { path: 'empty' })).output).toBe(`${home.root}/empty is empty.`)
    expect((await ask('list_directory', { path: 'only' })).output).toContain('1 entries are ignored')
  })

  it('shows a tree, and of a large one the upper levels', async () => {
    const home = world()
    for (let index = 0; index < 1500; index++) put(home, { [`large/${index}`]: '' })
    put(home, { 'small/file': '' })
    const { output } = await (await open(home))('directory_tree', { path: '.' })
    const { children } = JSON.parse(output)
    expect(children.map(({ name }: { name: string }) => name)).toEqual(['large', 'small'])
    expect(children[0].truncated).toBe(true)
    expect(children[0].children.length).toBeLessThan(1000)
  })

  it.each([
    ['a text', { query: 'word' }, ['src/a.ts:1: one word']],
    ['an expression', { query: '^[Ww]ord|one', is_regex: true }, ['src/a.ts:1: one word', 'src/a.ts:3: Word again']],
    ['an expression with flags', { query: '(?i)WORD A', is_regex: true }, ['src/a.ts:3: Word again']],
    ['a text that looks like an expression', { query: '[Ww]ord' }, ['Nothing was found.']],
    ['in one file', { query: 'nothing', path: 'src/a.ts' }, ['src/a.ts:2: nothing']],
    ['not in what is left out', { query: 'word', excludePatterns: ['*.ts'] }, ['Nothing was found.']],
    [
      'not below what is left out',
      { query: 'word', path: '.', excludePatterns: ['src', '*.log'] },
      ['Nothing was found.'],
    ],
  ])('finds %s', async (_, args, lines) => {
    const home = world()
    put(home, repository)
    const { output } = await (await open(home))('search_files_content', { path: 'src', ...args })
    expect(output.split('\n').sort()).toEqual([...lines].sort())
  })

  it('refuses what is no expression', async () => {
    const home = world()
    const result = await (await open(home))('search_files_content', { path: '.', query: '(', is_regex: true })
    expect(result).toMatchObject({ isError: true, output: expect.stringContaining('not a regular expression') })
  })

  it('leaves a search whose expression takes for ever', async () => {
    const home = world()
    put(home, { file: 'a'.repeat(60) })
    const toolset = await started({ type: 'filesystem' }, home.environment)
    const args = { path: '.', query: '^(a|a)*b$', is_regex: true }
    const test = call(toolset, 'search_files_content', args)
    // The thread that answers this one has waited for the search to be under way, or has run beside it.
    await call(toolset, 'search_files_content', { path: '.', query: 'none' }).result
    const reason = new Error('stopped')
    test.stop(reason)
    await expect(test.result).rejects.toBe(reason)
  })

  it('shows only so many matches', async () => {
    const home = world()
    put(home, { many: 'word\n'.repeat(1000) })
    const { output } = await (await open(home))('search_files_content', { path: '.', query: 'word' })
    expect(output.split('\n')).toHaveLength(501)
    expect(output).toContain('Only the first 500 matches are shown')
  })
})
