import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import type { Agent } from '../../src/agent-file/agent-file.ts'
import { promptFiles } from '../../src/runtime/prompt-files.ts'
import { world } from '../tools/world.ts'
import { carryOut, session, user } from './run-context.ts'
import { systemText, toolBench } from './tool-bench.ts'

/** What an agent that works in `a/b` gets from these files of the world. */
async function reading(files: Readonly<Record<string, string | Buffer>>, agent: Partial<Agent>) {
  const { root, environment } = world()
  const workingDir = join(root, 'a', 'b')
  mkdirSync(workingDir, { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
  const texts = await promptFiles({ Name: 'root', ...agent }, { ...environment, workingDir })
  return texts.map((text) => text.replaceAll(`${root}/`, ''))
}

it('reads the nearest file on the way up, and that of the home directory', async () => {
  const files = { 'AGENTS.md': 'far', 'a/AGENTS.md': 'near\n', 'a/b/c/AGENTS.md': 'below', 'home/AGENTS.md': 'mine' }
  expect(await reading(files, { add_prompt_files: ['AGENTS.md', 'NONE.md', 'AGENTS.md'] })).toEqual([
    'The file a/AGENTS.md says:\n\nnear',
    'The file home/AGENTS.md says:\n\nmine',
  ])
})

it('reads what the author names, wherever it is', async () => {
  const { root } = world()
  writeFileSync(join(root, 'rules'), 'anywhere')
  const files = { 'a/x/rules': 'beside', 'home/rules': 'mine' }
  expect(await reading(files, { add_prompt_files: ['../x/rules', '~/rules', join(root, 'rules')] })).toEqual([
    'The file a/x/rules says:\n\nbeside',
    'The file home/rules says:\n\nmine',
    `The file ${root}/rules says:\n\nanywhere`,
  ])
})

it('lists the files below by their paths, as deep as the agent wants', async () => {
  const names = ['a/b/c', 'a/b/c/d', 'a/b/c/d/e', 'a/b/.hidden', 'a/b/node_modules', 'a/b/z']
  const files = Object.fromEntries(names.map((folder) => [`${folder}/AGENTS.md`, 'secret']))
  const agent = { add_prompt_files: ['AGENTS.md'] }
  expect(await reading(files, agent)).toEqual([])
  const [list = '', ...rest] = await reading(files, { ...agent, add_prompt_files_depth: 2 })
  expect(rest).toEqual([])
  expect(list.split('\n').slice(1)).toEqual(['- a/b/c/AGENTS.md', '- a/b/z/AGENTS.md', '- a/b/c/d/AGENTS.md'])
})

it('cuts what is long, and leaves out what is empty, binary or no file', async () => {
  const files = {
    'a/b/long': 'x'.repeat(70_000),
    'a/b/empty': '',
    'a/b/binary': Buffer.from([65, 0, 66]),
    'a/b/dir/x': '',
  }
  const [long = '', ...rest] = await reading(files, {
    add_prompt_files: ['long', 'empty', 'binary', 'dir', '/dev/zero'],
  })
  expect(rest).toEqual([])
  expect(long).toMatch(/x\n\[The file goes on; these are its first 65536 bytes\]$/)
  expect(long.length).toBeLessThan(66_000)
})

it('reads the files anew for each run, into the prompt', async () => {
  const bench = toolBench([], { agent: { add_prompt_files: ['AGENTS.md'] } })
  bench.write('AGENTS.md', 'Be brief.')
  await carryOut(bench.runtime, session([user('hi')]))
  bench.write('AGENTS.md', 'Be loud.')
  await carryOut(bench.runtime, session([user('hi')]))
  expect(bench.requests.map((request) => /Be \w+\./.exec(systemText(request))?.[0])).toEqual(['Be brief.', 'Be loud.'])
})
