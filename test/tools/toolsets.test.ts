import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Toolset as FileToolset } from '../../src/agent-file/toolset.ts'
import {
  createSkills,
  createTeamState,
  createToolset,
  type SkillsDefinition,
  supportedToolsets,
  type ToolsetDefinition,
  ToolsetFailure,
} from '../../src/tools/tools.ts'
import { call } from './call.ts'
import { started, type World, world } from './world.ts'

const signal = new AbortController().signal

/** Types that cannot be started with nothing else said. */
const needy = ['api', 'mcp', 'openapi']

describe('a toolset of an agent file', () => {
  it('is made for every type that is supported, and for no other', () => {
    const { environment } = world()
    const definition: ToolsetDefinition = FileToolset.parse({ type: 'shell' })
    expect(createToolset(definition, environment)).toBeDefined()
    for (const type of supportedToolsets) expect(createToolset({ type }, environment)).toBeDefined()
    for (const type of ['lsp', 'toString', '']) expect(createToolset({ type }, environment)).toBeUndefined()
  })

  it('has names and schemas that every provider takes', async () => {
    const home = world()
    for (const type of supportedToolsets.filter((type) => !needy.includes(type))) {
      const { tools } = await started({ type }, home.environment)
      for (const { name, parameters, description } of tools) {
        expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
        expect(parameters).toMatchObject({ type: 'object', properties: {}, additionalProperties: false })
        expect(description).toMatch(/\.$/)
        expect(JSON.stringify(parameters)).not.toMatch(/9007199254740991|\$schema/)
      }
    }
  })

  it('has the tools that agents know, of which these only read', async () => {
    const home = world()
    const known: string[] = []
    for (const type of ['shell', 'filesystem', 'think', 'todo', 'memory', 'fetch', 'user_prompt']) {
      const { tools } = await started({ type }, home.environment)
      known.push(...tools.map(({ name, annotations }) => `${name}${annotations.readOnlyHint ? ' R' : ''}`))
    }
    expect(known.sort()).toEqual(
      (
        'add_memory,create_directory,create_todo R,create_todos R,delete_memory,directory_tree R,edit_file,fetch,' +
        'get_memories R,list_directory R,list_todos R,read_file R,read_multiple_files R,remove_directory,' +
        'search_files_content R,search_memories R,shell,think R,update_memory,update_todos R,user_prompt R,write_file'
      ).split(','),
    )
  })

  it.each<[string, Partial<ToolsetDefinition>, string[]]>([
    ['a prefix', { name: 'my' }, ['my_create_todo', 'my_create_todos', 'my_update_todos', 'my_list_todos']],
    ['a list of tools', { tools: ['list_todos', 'none'] }, ['list_todos']],
    ['a prefix and a list', { name: 'my', tools: ['my_list_todos'] }, ['my_list_todos']],
    ['a prefix and a list of plain names', { name: 'my', tools: ['list_todos'] }, ['my_list_todos']],
    ['an empty list', { tools: [] }, []],
  ])('can be given %s', async (_, decoration, names) => {
    const toolset = await started({ type: 'todo', ...decoration }, world().environment)
    expect(toolset.tools.map(({ name }) => name)).toEqual(names)
    for (const name of ['my_list_todos', 'list_todos', 'create_todo']) {
      const { isError } = await call(toolset, name, { description: 'x' }).result
      expect(isError !== true).toBe(names.includes(name))
    }
  })

  it('can be kept to what only reads', async () => {
    const home = world()
    const toolset = await started({ type: 'filesystem', readonly: true }, home.environment)
    const names = ['read_file', 'read_multiple_files', 'list_directory', 'directory_tree', 'search_files_content']
    expect(toolset.tools.map(({ name }) => name)).toEqual(names)
    expect(await call(toolset, 'write_file', { path: 'x', content: '' }).result).toMatchObject({ isError: true })
    expect(existsSync(join(home.root, 'x'))).toBe(false)
  })

  it('can be given another instruction, with its own in it', async () => {
    const instruction = 'Before $&. {ORIGINAL_INSTRUCTIONS} For ${env.WHO}.'
    const toolset = await started({ type: 'think', instruction }, world({ WHO: 'you' }).environment)
    expect(toolset.instruction).toMatch(/^Before \$&\. ## Think.* For you\.$/s)
  })
})

describe('todos', () => {
  it('are created, updated and listed', async () => {
    const toolset = await started({ type: 'todo' }, world().environment)
    const ask = async (name: string, args: object) => JSON.parse((await call(toolset, name, args).result).output)
    const first = { id: 'todo_1', description: 'a', status: 'pending' }
    const second = { id: 'todo_2', description: 'b', status: 'pending' }
    expect(await ask('create_todo', { description: 'a' })).toMatchObject({ created: first, all_todos: [first] })
    expect(await ask('create_todos', { descriptions: '["b"]' })).toMatchObject({ created: [second] })
    const done = { ...first, status: 'completed' }
    const updates = [
      { id: 'todo_1', status: 'completed' },
      { id: 'todo_9', status: 'completed' },
    ]
    expect(await ask('update_todos', { updates })).toEqual({
      updated: [done],
      not_found: ['todo_9'],
      all_todos: [done, second],
      reminder: 'Not completed yet: todo_2 (pending)',
    })
    expect(await ask('update_todos', { updates: { id: 'todo_2', status: 'completed' } })).not.toHaveProperty('reminder')
    expect((await ask('list_todos', {})).todos).toHaveLength(2)
  })

  it('are shared within a team by toolsets that say so, and by no others', async () => {
    const team = createTeamState()
    const { environment } = world()
    const open = async (shared: boolean) => {
      const toolset = createToolset({ type: 'todo', shared }, environment, team)
      await toolset?.start(signal)
      return toolset
    }
    const [one, two, other] = [await open(true), await open(true), await open(false)]
    if (!one || !two || !other) throw new Error('no todos')
    await call(one, 'create_todo', { description: 'ours' }).result
    expect((await call(two, 'list_todos', {}).result).output).toContain('ours')
    expect((await call(other, 'list_todos', {}).result).output).toBe('{"todos":[]}')
  })

  it('outlive a stop of their toolset', async () => {
    const toolset = await started({ type: 'todo' }, world().environment)
    await call(toolset, 'create_todo', { description: 'kept' }).result
    await toolset.close()
    await toolset.start(signal)
    expect((await call(toolset, 'list_todos', {}).result).output).toContain('kept')
  })
})

describe('memories', () => {
  it('are added, found, changed and deleted, and outlive their toolset', async () => {
    const home = world()
    const first = await started({ type: 'memory' }, home.environment)
    await call(first, 'add_memory', { memory: 'Likes green TEA', category: 'Preference' }).result
    await call(first, 'add_memory', { memory: 'Lives by the sea', category: null }).result
    await first.close()
    expect(existsSync(join(home.root, 'data', 'memory.db'))).toBe(true)
    const toolset = await started({ type: 'memory' }, home.environment)
    const ask = async (name: string, args: object) => JSON.parse((await call(toolset, name, args).result).output)
    const [tea, sea] = await ask('get_memories', {})
    expect(tea).toMatchObject({ memory: 'Likes green TEA', category: 'Preference' })
    expect(await ask('search_memories', { query: 'tea green' })).toEqual([tea])
    expect(await ask('search_memories', { category: 'preference' })).toEqual([tea])
    expect(await ask('search_memories', { query: 'tea sea' })).toEqual([])
    expect(await ask('search_memories', { query: '%' })).toEqual([])
    await call(toolset, 'update_memory', { id: tea.id, memory: 'Likes black tea' }).result
    expect((await ask('search_memories', { query: 'black' }))[0]).toMatchObject({ category: 'Preference' })
    await call(toolset, 'delete_memory', { id: sea.id }).result
    expect(await ask('get_memories', {})).toHaveLength(1)
    for (const name of ['update_memory', 'delete_memory']) {
      const args = { id: sea.id, memory: 'x' }
      expect(await call(toolset, name, args).result).toMatchObject({ isError: true, output: /no memory with/ })
    }
  })

  it('are read from a file of docker-agent, from before there were categories', async () => {
    const home = world()
    mkdirSync(join(home.root, 'data'))
    const db = new Database(join(home.root, 'data', 'old.db'))
    db.exec('CREATE TABLE memories (id TEXT PRIMARY KEY, created_at TEXT, memory TEXT)')
    db.exec("INSERT INTO memories VALUES ('7', '2025-01-01T00:00:00Z', 'old')")
    db.close()
    const toolset = await started({ type: 'memory', path: './old.db' }, home.environment)
    const { output } = await call(toolset, 'get_memories', {}).result
    expect(JSON.parse(output)).toEqual([{ id: '7', created_at: '2025-01-01T00:00:00Z', memory: 'old' }])
  })

  it('cannot be kept where no directory can be made', async () => {
    const toolset = createToolset({ type: 'memory', path: '/proc/nowhere/at/all.db' }, world().environment)
    await expect(toolset?.start(signal)).rejects.toThrow(ToolsetFailure)
  })

  it('cannot be opened from what is no database', async () => {
    const home = world()
    writeFileSync(join(home.root, 'notes.txt'), 'not a database, but long enough to look at'.repeat(100))
    const toolset = createToolset({ type: 'memory', path: join(home.root, 'notes.txt') }, home.environment)
    await expect(toolset?.start(signal)).rejects.toBeInstanceOf(ToolsetFailure)
  })
})

describe('asking a person', () => {
  it.each([
    [{ action: 'accept', content: { a: 1 } }, '{"action":"accept","content":{"a":1}}'],
    [{ action: 'decline', content: null }, '{"action":"decline"}'],
    [{ action: 'cancel' }, '{"action":"cancel"}'],
  ] as const)('returns %j', async (answer, output) => {
    const toolset = await started({ type: 'user_prompt' }, world().environment)
    const asked: unknown[] = []
    const elicit = async (question: object) => {
      asked.push(question)
      return answer
    }
    const schema = { type: 'object' }
    expect(await call(toolset, 'user_prompt', { message: 'q', title: 't', schema }, { elicit }).result).toEqual({
      output,
    })
    expect(asked).toEqual([{ message: 'q', mode: 'form', schema, meta: { title: 't' } }])
  })
})

describe('skills', () => {
  function skill(home: World, folder: string, name: string, text = 'Do it.'): void {
    mkdirSync(join(home.root, folder), { recursive: true })
    writeFileSync(
      join(home.root, folder, 'SKILL.md'),
      `---\nname: ${name}\ndescription: "About: ${folder}"\n---\n${text}\n`,
    )
  }

  async function open(home: World, definition: SkillsDefinition, workingDir = home.root, ...more: SkillsDefinition[]) {
    const toolset = createSkills([definition, ...more], { ...home.environment, workingDir })
    if (toolset === undefined) throw new Error('no skills')
    onTestFinished(() => toolset.close())
    await toolset.start(signal)
    return toolset
  }

  const inline = { name: 'inline', description: 'Written out', instructions: 'Just so.' }

  it.each([
    ['all that are found', true, ['deep', 'one', 'two']],
    ['all from here', ['local'], ['deep', 'one', 'two']],
    ['some by their names', ['one', 'missing'], ['one']],
    ['one that is written out, and no others', [inline], ['inline']],
    ['both', ['two', inline], ['inline', 'two']],
  ] as [string, SkillsDefinition, string[]][])('are %s', async (_, definition, names) => {
    const home = world()
    skill(home, 'home/.claude/skills/one', 'one')
    skill(home, 'home/.agents/skills/group/deep', 'deep')
    skill(home, 'home/.claude/skills/group/too-deep', 'too-deep')
    skill(home, '.agents/skills/two', 'two')
    const { instruction } = await open(home, definition)
    expect([...(instruction ?? '').matchAll(/^- (\w+): /gm)].map(([, name]) => name).sort()).toEqual(names)
  })

  it('are none when the agent has none, and a toolset without tools when none are found', async () => {
    const home = world()
    expect(createSkills([false], home.environment)).toBeUndefined()
    expect(createSkills([], home.environment)).toBeUndefined()
    const toolset = await open(home, true)
    expect([toolset.tools, toolset.instruction]).toEqual([[], undefined])
  })

  it('of several lists are those of all, and what is written out counts, the first of it', async () => {
    const home = world()
    skill(home, '.agents/skills/one', 'one')
    skill(home, '.agents/skills/two', 'two')
    const toolset = await open(
      home,
      false,
      home.root,
      ['two', inline],
      [{ ...inline, name: 'two' }],
      [{ ...inline, instructions: 'Too late.' }],
    )
    const names = [...(toolset.instruction ?? '').matchAll(/^- (\w+): /gm)].map(([, name]) => name)
    expect(names.sort()).toEqual(['inline', 'two'])
    for (const name of names) expect(await call(toolset, 'read_skill', { name }).result).toEqual({ output: 'Just so.' })
  })

  it('of the project come before those of the home directory, and the nearest first', async () => {
    const home = world()
    mkdirSync(join(home.root, '.git'))
    skill(home, 'home/.agents/skills/one', 'one', 'home')
    skill(home, '.agents/skills/one', 'one', 'top')
    skill(home, 'sub/.agents/skills/one', 'one', 'near')
    const read = async (folder: string) => {
      const toolset = await open(home, true, join(home.root, folder))
      return (await call(toolset, 'read_skill', { name: 'one' }).result).output
    }
    expect([await read('sub'), await read('.')]).toEqual(['near', 'top'])
  })

  it('are read with their files, and with no others', async () => {
    const home = world()
    skill(home, '.agents/skills/one', 'one')
    skill(home, '.agents/skills/broken', '[')
    const folder = join(home.root, '.agents/skills/one')
    mkdirSync(join(folder, 'docs'))
    writeFileSync(join(folder, 'docs', 'more.md'), 'More.')
    writeFileSync(join(home.root, 'secret'), 'secret')
    symlinkSync(join(home.root, 'secret'), join(folder, 'link'))
    const toolset = await open(home, true)
    const files = `Files in ${folder}, for read_skill_file:\ndocs/more.md`
    expect((await call(toolset, 'read_skill', { name: 'one' }).result).output).toBe(`Do it.\n\n${files}`)
    const read = (path: string) => call(toolset, 'read_skill_file', { skill_name: 'one', path }).result
    expect(await read('docs/more.md')).toEqual({ output: 'More.' })
    for (const path of ['../../../secret', 'link', 'none']) expect(await read(path)).toMatchObject({ isError: true })
    expect(await call(toolset, 'read_skill', { name: 'broken' }).result).toMatchObject({ isError: true })
  })

  it('from URLs are refused by name', async () => {
    const toolset = createSkills([['https://example.com/skills']], world().environment)
    await expect(toolset?.start(signal)).rejects.toThrow('Skills from URLs are not supported yet')
  })
})
