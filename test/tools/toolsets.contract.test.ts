import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { createSkills, createToolset, type Toolset, type ToolsetDefinition } from '../../src/tools/tools.ts'
import { type ToolsetBench, toolsetContract } from '../contracts/toolset.contract.ts'
import { type HttpServer, httpServer } from '../models/http-server.ts'
import { isAlive, type World, world } from './world.ts'

const long = 'a line of words that goes on and on\n'.repeat(10_000)
const endless = "echo up-$$; trap '' TERM; sleep 1000 & echo child-$!; wait; sleep 1000"

type Parts = Omit<ToolsetBench, 'toolset' | typeof Symbol.asyncDispose>

function bench(home: World, definition: ToolsetDefinition, parts: Parts, server?: HttpServer): ToolsetBench {
  const toolset = createToolset(definition, home.environment)
  if (toolset === undefined) throw new Error(`${definition.type} is not supported`)
  return benchOf(toolset, parts, server)
}

function benchOf(toolset: Toolset, parts: Parts, server?: HttpServer): ToolsetBench {
  return {
    toolset,
    ...parts,
    [Symbol.asyncDispose]: async () => {
      await toolset.close()
      await server?.[Symbol.asyncDispose]()
    },
  }
}

/** Waits for the two processes of an endless command, and watches them. */
function watch(): Pick<ToolsetBench, 'hangs' | 'remains'> {
  const pids: number[] = []
  return {
    hangs: async (test) => {
      pids.push(Number((await test.hears(/up-(\d+)/))[1]), Number((await test.hears(/child-(\d+)/))[1]))
      expect(pids.every(isAlive)).toBe(true)
    },
    remains: () => pids.some(isAlive),
  }
}

/** A server with a long page, and one that never answers; it knows when that was asked for, and left. */
async function pages() {
  const asked = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const server = await httpServer((request, response) => {
    if (request.url === '/robots.txt') return void response.writeHead(404).end()
    if (request.url !== '/never') return void response.end(request.url === '/long' ? long : 'short')
    response.on('close', () => left.resolve())
    asked.resolve()
  })
  const remains = async () => {
    await left.promise
    return false
  }
  return { server, hangs: () => asked.promise, remains }
}

toolsetContract('shell', async () => {
  return bench(
    world(),
    { type: 'shell' },
    {
      good: { name: 'shell', args: { cmd: 'true' } },
      wrong: { name: 'shell', args: { cwd: '/' } },
      flooding: { name: 'shell', args: { cmd: 'seq 1 1000000' } },
      hanging: { name: 'shell', args: { cmd: endless, timeout: 1000 } },
      ...watch(),
    },
  )
})

toolsetContract('script', async () => {
  const args = { what: { type: 'string' } }
  const shell = { good: { cmd: 'echo $what', args }, flood: { cmd: 'seq 1 1000000' }, hang: { cmd: endless } }
  return bench(
    world(),
    { type: 'script', shell },
    {
      good: { name: 'good', args: { what: 'this' } },
      wrong: { name: 'good', args: {} },
      flooding: { name: 'flood', args: {} },
      hanging: { name: 'hang', args: {} },
      ...watch(),
    },
  )
})

toolsetContract('filesystem', async () => {
  const home = world()
  writeFileSync(join(home.root, 'short.txt'), 'short')
  for (let index = 0; index < 3; index++) writeFileSync(join(home.root, `long-${index}.txt`), long)
  const post_edit = [{ path: '*.out', cmd: 'while :; do sleep 0.1; echo . >> started; done' }]
  return bench(
    home,
    { type: 'filesystem', post_edit },
    {
      good: { name: 'read_file', args: { path: 'short.txt' } },
      wrong: { name: 'read_file', args: { line: 1 } },
      flooding: { name: 'read_multiple_files', args: { paths: ['long-0.txt', 'long-1.txt', 'long-2.txt'] } },
      hanging: { name: 'write_file', args: { path: 'x.out', content: 'x' } },
      hangs: async () => expect.poll(() => readdirSync(home.root)).toContain('started'),
      remains: () => readdirSync(home.root).some((name) => name.startsWith('.quarterdeck')),
    },
  )
})

toolsetContract('think', async () => {
  return bench(
    world(),
    { type: 'think' },
    {
      good: { name: 'think', args: { thought: 'so' } },
      wrong: { name: 'think', args: { thought: { not: 'text' } } },
      flooding: { name: 'think', args: { thought: long } },
    },
  )
}, ['hanging'])

toolsetContract('todo', async () => {
  return bench(
    world(),
    { type: 'todo' },
    {
      good: { name: 'create_todo', args: { description: 'this' } },
      wrong: { name: 'update_todos', args: { updates: [{ id: 'todo_1', status: 'perhaps' }] } },
      flooding: { name: 'create_todos', args: { descriptions: [long] } },
    },
  )
}, ['hanging'])

toolsetContract('memory', async () => {
  return bench(
    world(),
    { type: 'memory' },
    {
      good: { name: 'add_memory', args: { memory: 'this' } },
      wrong: { name: 'delete_memory', args: {} },
    },
  )
}, ['hanging', 'flooding'])

toolsetContract('fetch', async () => {
  const { server, hangs, remains } = await pages()
  const parts = {
    good: { name: 'fetch', args: { urls: [`${server.url}/`], format: 'text' } },
    wrong: { name: 'fetch', args: { urls: [], format: 'text' } },
    flooding: { name: 'fetch', args: { urls: [`${server.url}/long`], format: 'text' } },
    hanging: { name: 'fetch', args: { urls: [`${server.url}/never`], format: 'text' } },
    hangs,
    remains,
  }
  return bench(world(), { type: 'fetch', allow_private_ips: true }, parts, server)
})

toolsetContract('api', async () => {
  const { server, hangs, remains } = await pages()
  const api_config = {
    name: 'page',
    method: 'GET' as const,
    endpoint: `${server.url}/\${which}`,
    args: { which: { type: 'string' } },
    required: ['which'],
  }
  const parts = {
    good: { name: 'page', args: { which: 'short' } },
    wrong: { name: 'page', args: {} },
    flooding: { name: 'page', args: { which: 'long' } },
    hanging: { name: 'page', args: { which: 'never' } },
    hangs,
    remains,
  }
  return bench(world(), { type: 'api', api_config, allow_private_ips: true }, parts, server)
})

toolsetContract('openapi', async () => {
  const home = world()
  const { server, hangs, remains } = await pages()
  const which = { name: 'which', in: 'path', required: true, schema: { type: 'string' } }
  const paths = { '/{which}': { get: { operationId: 'page', parameters: [which] } } }
  writeFileSync(
    join(home.root, 'api.json'),
    JSON.stringify({ openapi: '3.1.0', info: {}, servers: [{ url: server.url }], paths }),
  )
  const parts = {
    good: { name: 'page', args: { which: 'short' } },
    wrong: { name: 'page', args: {} },
    flooding: { name: 'page', args: { which: 'long' } },
    hanging: { name: 'page', args: { which: 'never' } },
    hangs,
    remains,
  }
  return bench(home, { type: 'openapi', url: 'api.json', allow_private_ips: true }, parts, server)
})

toolsetContract('user_prompt', async () => {
  const toolset = createToolset({ type: 'user_prompt' }, world().environment)
  if (toolset === undefined) throw new Error('user_prompt is not supported')
  const asking: Toolset = {
    get instruction() {
      return toolset.instruction
    },
    get tools() {
      return toolset.tools
    },
    start: (signal) => toolset.start(signal),
    // A person who answers everything but one question.
    call: (name, args, context) => {
      return toolset.call(name, args, {
        callId: context.callId,
        signal: context.signal,
        headers: context.headers,
        output: (chunk) => context.output(chunk),
        elicit: async ({ message }) => {
          if (message === 'hang') return await new Promise(() => {})
          return { action: 'accept', content: { said: message === 'flood' ? long : 'yes' } }
        },
      })
    },
    close: () => toolset.close(),
  }
  return benchOf(asking, {
    good: { name: 'user_prompt', args: { message: 'well?' } },
    wrong: { name: 'user_prompt', args: { title: 'no message' } },
    flooding: { name: 'user_prompt', args: { message: 'flood' } },
    hanging: { name: 'user_prompt', args: { message: 'hang' } },
  })
})

toolsetContract('skills', async () => {
  const home = world()
  const folder = join(home.root, '.agents', 'skills', 'one')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'SKILL.md'), '---\nname: one\ndescription: The first\n---\nDo this.')
  writeFileSync(join(folder, 'long.txt'), long.slice(0, 200_000))
  const toolset = createSkills([true], home.environment)
  if (toolset === undefined) throw new Error('no skills')
  return benchOf(toolset, {
    good: { name: 'read_skill', args: { name: 'one' } },
    wrong: { name: 'read_skill', args: {} },
    flooding: { name: 'read_skill_file', args: { skill_name: 'one', path: 'long.txt' } },
  })
}, ['hanging'])
