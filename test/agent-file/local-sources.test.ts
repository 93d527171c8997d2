import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AgentSources, createAgentSources } from '../../src/agent-file/agent-file.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'agent-sources-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const agent = (description: string, more = '') =>
  `agents:\n  root:\n    model: openai/gpt-4o\n    description: ${description}\n${more}`

function write(name: string, text: string): void {
  writeFileSync(join(directory, name), text)
}

function open(name = ''): Promise<AgentSources> {
  return createAgentSources({ source: join(directory, name), env: {} })
}

function described(sources: AgentSources, key: string): string | undefined {
  return sources.get(key).file.agents[0]?.description
}

describe('a directory', () => {
  it('serves every YAML file directly inside under its base name, sorted', async () => {
    write('b.yml', agent('B'))
    write('A.YAML', agent('A'))
    write('c.d.yaml', agent('CD', '    commands: {z: x, a: y}\n'))
    write('notes.txt', 'not an agent')
    mkdirSync(join(directory, 'inner.yaml'))
    mkdirSync(join(directory, 'deep'))
    write('deep/e.yaml', agent('E'))
    symlinkSync(join(directory, 'b.yml'), join(directory, 'link.yaml'))
    symlinkSync(join(directory, 'nowhere'), join(directory, 'dangling.yaml'))
    const sources = await open()
    expect(sources.list()).toEqual([
      { name: 'A', description: 'A', multi: false },
      { name: 'b', description: 'B', multi: false },
      { name: 'c.d', description: 'CD', multi: false, commands: ['a', 'z'] },
      { name: 'link', description: 'B', multi: false },
    ])
    expect(sources.get('A')).toMatchObject({ key: 'A', baseDir: directory })
  })

  it('refuses an unknown key', async () => {
    write('a.yaml', agent('A'))
    const sources = await open()
    for (const key of ['A', 'a.yaml', '', '../a']) {
      expect(() => sources.get(key)).toThrow(expect.objectContaining({ code: 'unknown_agent' }))
    }
  })

  it('sees an edit, a new file and a deletion without a restart (F4)', async () => {
    write('a.yaml', agent('one'))
    const sources = await open()
    const before = sources.get('a')
    expect(sources.get('a')).toBe(before)

    write('a.yaml', agent('two'))
    const after = sources.get('a')
    expect(after.file.agents[0]?.description).toBe('two')
    expect(after.version).not.toBe(before.version)

    write('b.yaml', agent('three'))
    expect(described(sources, 'b')).toBe('three')
    expect(sources.list().map(({ name }) => name)).toEqual(['a', 'b'])

    rmSync(join(directory, 'a.yaml'))
    expect(sources.list().map(({ name }) => name)).toEqual(['b'])
    expect(() => sources.get('a')).toThrow(expect.objectContaining({ code: 'unknown_agent' }))
  })

  it('sees an edit that changes neither size nor, maybe, the time', async () => {
    write('a.yaml', agent('000'))
    const sources = await open()
    for (let round = 100; round < 200; round++) {
      write('a.yaml', agent(`${round}`.replace('1', 'x')))
      expect(described(sources, 'a')).toBe(`${round}`.replace('1', 'x'))
    }
  })

  it('sees a file that was replaced by renaming', async () => {
    write('a.yaml', agent('one'))
    const sources = await open()
    sources.list()
    write('a.tmp', agent('two'))
    renameSync(join(directory, 'a.tmp'), join(directory, 'a.yaml'))
    expect(sources.list()[0]?.description).toBe('two')
  })

  it('keeps the same object while the content is the same', async () => {
    write('a.yaml', agent('one'))
    const sources = await open()
    const before = sources.get('a')
    write('a.yaml', agent('one'))
    expect(sources.get('a')).toBe(before)
  })

  it('keeps the last good version of a file that stopped parsing, and shows what is wrong (F5)', async () => {
    write('a.yaml', agent('one'))
    const sources = await open()
    const before = sources.get('a')

    write('a.yaml', agent('two', '    instrcution: x\n'))
    expect(sources.get('a')).toBe(before)
    expect(sources.list()).toEqual([
      {
        name: 'a',
        description: 'one',
        multi: false,
        error: expect.stringContaining('agents.root.instrcution: unknown key (line 5)'),
      },
    ])

    write('a.yaml', agent('three'))
    expect(sources.list()).toEqual([{ name: 'a', description: 'three', multi: false }])
    expect(described(sources, 'a')).toBe('three')
  })

  it('shows a file that never parsed with its error only', async () => {
    write('bad.yaml', 'agents: [')
    write('good.yaml', agent('good'))
    const sources = await open()
    expect(sources.list()).toEqual([
      { name: 'bad', description: '', multi: false, error: expect.stringContaining('(line 1)') },
      { name: 'good', description: 'good', multi: false },
    ])
    expect(() => sources.get('bad')).toThrow(expect.objectContaining({ code: 'invalid_agent_file' }))
    write('bad.yaml', agent('better'))
    expect(described(sources, 'bad')).toBe('better')
  })

  it('lists HCL files and doubles with an error', async () => {
    write('old.hcl', 'agent {}')
    write('two.yaml', agent('served'))
    write('two.yml', agent('not served'))
    write('two.hcl', 'agent {}')
    const sources = await open()
    expect(sources.list().map(({ name, error }) => [name, error?.slice(0, 8)])).toEqual([
      ['old', 'agent fi'],
      ['two', undefined],
      ['two.hcl', 'agent fi'],
      ['two.yml', 'two.yaml'],
    ])
    expect(described(sources, 'two')).toBe('served')
    expect(() => sources.get('old')).toThrow(expect.objectContaining({ code: 'invalid_agent_file' }))
  })

  it('sees edits of instruction files, also of one that was missing', async () => {
    write('a.yaml', 'agents:\n  root:\n    model: auto\n    instruction_file: words.md\n')
    const sources = await open()
    expect(sources.list()[0]?.error).toContain('words.md: there is no such file (line 4)')

    write('words.md', 'Be brief.')
    const first = sources.get('a')
    expect(first.file.agents[0]?.instruction).toBe('Be brief.')

    write('words.md', 'Be brave.')
    expect(sources.get('a').file.agents[0]?.instruction).toBe('Be brave.')
    expect(sources.get('a').version).not.toBe(first.version)

    rmSync(join(directory, 'words.md'))
    expect(sources.get('a').file.agents[0]?.instruction).toBe('Be brave.')
    expect(sources.list()[0]?.error).toContain('there is no such file')
  })

  it('may be empty, and says so when it is gone', async () => {
    const sources = await open()
    expect(sources.list()).toEqual([])
    rmSync(directory, { recursive: true })
    expect(() => sources.list()).toThrow(expect.objectContaining({ code: 'agent_source_unavailable' }))
  })

  it('refuses a file that is too large to be an agent file', async () => {
    write('big.yaml', `${agent('big')}# ${'x'.repeat(1024 * 1024)}\n`)
    expect((await open()).list()[0]?.error).toContain('larger than 1048576 bytes')
  })
})

describe('a single file', () => {
  it('is served under its base name, follows edits and outlives its deletion', async () => {
    write('solo.yaml', agent('one'))
    const sources = await open('solo.yaml')
    expect(sources.list()).toEqual([{ name: 'solo', description: 'one', multi: false }])
    write('solo.yaml', agent('two'))
    expect(described(sources, 'solo')).toBe('two')
    rmSync(join(directory, 'solo.yaml'))
    expect(described(sources, 'solo')).toBe('two')
    expect(sources.list()[0]?.error).toContain('there is no such file')
    expect(() => sources.get('other')).toThrow(expect.objectContaining({ code: 'unknown_agent' }))
    await sources.close()
    await sources.close()
  })

  it('is refused with file, key and line when it cannot be used from the start', async () => {
    write('solo.yaml', agent('one', '    modle: x\n'))
    await expect(open('solo.yaml')).rejects.toMatchObject({
      code: 'invalid_agent_file',
      message: `${join(directory, 'solo.yaml')}: agents.root.modle: unknown key (line 5)`,
    })
  })
})

describe('other kinds of source', () => {
  it.each([
    ['default', 'the built-in agent "default" is not supported'],
    ['coder', 'the built-in agent "coder" is not supported'],
    ['agentcatalog/pirate', 'agents from an image registry are not supported'],
    ['registry.example.com:5000/team/agent:v1', 'agents from an image registry are not supported'],
    ['my-alias', 'aliases of agents are not supported'],
    ['team.hcl', 'HCL are not supported'],
    ['oci://agentcatalog/pirate', 'by https only'],
    ['http://example.com/agent.yaml', 'by https only'],
    ['https://joe:pw@example.com/agent.yaml', 'must not hold a user or password'],
  ])('refuses %s by name', async (source, message) => {
    const opened = createAgentSources({ source, env: {} })
    await expect(opened).rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining(message) })
  })

  it.each(['./missing.yaml', 'missing.yaml', '/no/such/place', 'agents/missing.yml'])(
    'cannot find %s',
    async (source) => {
      const opened = createAgentSources({ source, env: {} })
      await expect(opened).rejects.toMatchObject({ code: 'agent_source_unavailable' })
    },
  )

  it('refuses a pull interval for files, and one that is no number of minutes', async () => {
    for (const pullIntervalMinutes of [1, -1, Number.NaN, 9999]) {
      const opened = createAgentSources({ source: directory, env: {}, pullIntervalMinutes })
      await expect(opened).rejects.toMatchObject({ code: 'invalid_request' })
    }
  })
})
