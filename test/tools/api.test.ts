import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createToolset, ToolsetFailure } from '../../src/tools/tools.ts'
import { httpServer } from '../models/http-server.ts'
import { call } from './call.ts'
import { started, world } from './world.ts'

/** Answers with what it was asked, as one line each. */
async function echo() {
  return await httpServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    const { 'content-type': type, 'x-key': key, 'x-param': param } = request.headers
    response.writeHead(request.url === '/fail' ? 418 : 200)
    response.end(JSON.stringify({ asked: `${request.method} ${request.url}`, type, key, param, body }))
  })
}

describe('an API of one request', () => {
  const text = { type: 'string' }

  it.each([
    ['GET', '/u/${id}?q=${encodeURIComponent(q)}', { id: 'a/b', q: 'x&y' }, 'GET /u/a%2Fb?q=x%26y', ''],
    ['GET', '/u?q=${q}', { q: '..', id: 'more' }, 'GET /u?q=..&id=more', ''],
    ['GET', '/u/${id}', {}, 'GET /u/', ''],
    ['DELETE', '/u/${id}', { id: 3 }, 'DELETE /u/3', ''],
    ['POST', '/u/${id}', { id: 'x', q: 'y' }, 'POST /u/x', '{"id":"x","q":"y"}'],
    ['PATCH', '/u', { q: null }, 'PATCH /u', '{}'],
  ] as const)('sends %s to %s', async (method, path, args, asked, body) => {
    await using server = await echo()
    const api_config = { name: 'ask', method, endpoint: server.url + path, args: { id: {}, q: text } }
    const toolset = await started({ type: 'api', api_config, allow_private_ips: true }, world().environment)
    const { output } = await call(toolset, 'ask', args).result
    expect(JSON.parse(output)).toMatchObject({ asked, body })
  })

  it('sends headers with values of the environment and of the request behind the run', async () => {
    await using server = await echo()
    const headers = { 'X-Key': '${env.KEY}', 'x-param': '${headers.x-from}' }
    const api_config = { name: 'ask', method: 'GET' as const, endpoint: server.url, headers }
    const definition = { type: 'api', api_config, allow_private_ips: true }
    const toolset = await started(definition, world({ KEY: 'secret' }).environment)
    const { output } = await call(toolset, 'ask', {}, { headers: { 'X-From': 'me' } }).result
    expect(JSON.parse(output)).toMatchObject({ key: 'secret', param: 'me' })
  })

  it('leaves a header out that names one which the request does not have', async () => {
    await using server = await echo()
    const headers = { 'X-Key': 'Bearer ${headers.Authorization}', 'x-param': 'p' }
    const api_config = { name: 'ask', method: 'GET' as const, endpoint: server.url, headers }
    const toolset = await started({ type: 'api', api_config, allow_private_ips: true }, world().environment)
    const answer = JSON.parse((await call(toolset, 'ask', {}).result).output)
    expect(answer.param).toBe('p')
    expect(answer).not.toHaveProperty('key')
  })

  it('tells what it is, and what it answers', async () => {
    const output_schema = { type: 'object' }
    const config = {
      name: 'ask',
      instruction: 'Asks',
      endpoint: 'http://x',
      output_schema,
      args: { id: text },
      required: ['id'],
    }
    for (const method of ['GET', 'POST'] as const) {
      const toolset = await started({ type: 'api', api_config: { ...config, method } }, world().environment)
      expect(toolset.tools).toMatchObject([
        {
          name: 'ask',
          description: 'Asks',
          parameters: { type: 'object', properties: { id: text }, required: ['id'], additionalProperties: false },
          annotations: { readOnlyHint: method === 'GET' },
          outputSchema: output_schema,
        },
      ])
    }
  })

  it.each([
    ['a status that is no success', '/fail', {}, true, 'The API answered 418'],
    ['a private address', '/', {}, false, 'is not a public address'],
    ['a value that would lead elsewhere', '/u/${id}/x', { id: '..' }, true, '".." cannot be a part of a path'],
  ])('tells %s as an error', async (_, path, args, allow_private_ips, output) => {
    await using server = await echo()
    const api_config = { name: 'ask', method: 'GET' as const, endpoint: server.url + path, args: { id: text } }
    const toolset = await started({ type: 'api', api_config, allow_private_ips }, world().environment)
    expect(await call(toolset, 'ask', args).result).toMatchObject({
      isError: true,
      output: expect.stringContaining(output),
    })
  })
})

const spec = (server: string) => `
openapi: 3.0.3
info: {title: Pets, version: '1'}
servers: [{url: '${server}/v{n}', variables: {n: {default: '1'}}}]
paths:
  /pets/{id}:
    parameters:
      - $ref: '#/components/parameters/Id'
    get:
      operationId: getPet
      summary: Finds a pet
      parameters:
        - {name: tags, in: query, schema: {type: array, items: {type: string}}}
        - {name: X-Param, in: header, schema: {type: string}}
    delete: {operationId: get.Pet}
  /pets:
    post:
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}
    put:
      operationId: putPets
      requestBody: {content: {application/json: {schema: {type: array, items: {type: string}}}}}
    patch:
      operationId: patchPets
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object, properties: {a: {type: string}}}}}}
components:
  parameters:
    Id: {name: id, in: path, required: true, schema: {type: string}}
  schemas:
    Pet:
      type: object
      required: [name]
      xml: {name: pet}
      properties:
        name: {type: string, nullable: true, example: Rex}
        parent: {$ref: '#/components/schemas/Pet'}
        kind: {allOf: [{$ref: '#/components/schemas/Kind'}]}
    Kind: {type: string, enum: [cat, dog]}
`

describe('an API that a document describes', () => {
  async function open(text: string, definition = {}) {
    const home = world()
    writeFileSync(join(home.root, 'api.yaml'), text)
    return await started({ type: 'openapi', url: 'api.yaml', allow_private_ips: true, ...definition }, home.environment)
  }

  it('has a tool for each operation', async () => {
    const { tools } = await open(spec('http://x'))
    expect(tools.map(({ name }) => name)).toEqual(['getPet', 'get_Pet', 'putPets', 'post_pets', 'patchPets'])
    expect(tools[0]).toMatchObject({ description: 'Finds a pet', annotations: { readOnlyHint: true } })
    expect(tools[1]).toMatchObject({ annotations: { readOnlyHint: false, destructiveHint: true } })
  })

  it('writes out what schemas refer to, but not without end', async () => {
    const { tools } = await open(spec('http://x'))
    expect(tools.find(({ name }) => name === 'post_pets')?.parameters).toEqual({
      type: 'object',
      properties: {
        body_name: { type: ['string', 'null'] },
        body_parent: {},
        body_kind: { allOf: [{ type: 'string', enum: ['cat', 'dog'] }] },
      },
      required: ['body_name'],
      additionalProperties: false,
    })
  })

  it.each([
    [
      'getPet',
      { id: 'a/b', tags: ['x', 'y z'], 'X-Param': 'p' },
      { asked: 'GET /v1/pets/a%2Fb?tags=x&tags=y+z', param: 'p', body: '' },
    ],
    ['get_Pet', { id: 1 }, { asked: 'DELETE /v1/pets/1' }],
    ['post_pets', { body_name: 'Rex' }, { asked: 'POST /v1/pets', type: 'application/json', body: '{"name":"Rex"}' }],
    ['putPets', { body: ['a'] }, { asked: 'PUT /v1/pets', body: '["a"]' }],
    ['putPets', {}, { asked: 'PUT /v1/pets', body: '' }],
    ['patchPets', { body_a: 'x y' }, { type: 'application/x-www-form-urlencoded', body: 'a=x+y' }],
  ])('calls %s with %j', async (name, args, expected) => {
    await using server = await echo()
    const toolset = await open(spec(server.url), { headers: { 'X-Key': '${headers.k}' } })
    const { output } = await call(toolset, name, args, { headers: { k: 'mine' } }).result
    expect(JSON.parse(output)).toMatchObject({ ...expected, key: 'mine' })
  })

  it('reads the document as whoever starts the run', async () => {
    const json = { openapi: '3.1.0', paths: { '/a': { get: {} } } }
    await using server = await httpServer(({ headers }, response) => {
      response.writeHead(headers['x-key'] === 'mine' ? 200 : 401).end(JSON.stringify(json))
    })
    const definition = {
      type: 'openapi',
      url: server.url,
      headers: { 'X-Key': '${headers.k}' },
      allow_private_ips: true,
    }
    const toolset = createToolset(definition, world().environment)
    await expect(toolset?.start(new AbortController().signal)).rejects.toThrow('it answered 401')
    await toolset?.start(new AbortController().signal, { K: 'mine' })
    expect(toolset?.tools).toMatchObject([{ name: 'get_a' }])
    await toolset?.close()
  })

  it('reads the document from a URL, from where the servers are told', async () => {
    const json = { openapi: '3.1.0', servers: [{ url: 'v2' }], paths: { '/a': { get: {} } } }
    await using server = await httpServer(({ url }, response) => {
      response.end(url === '/docs/api.json' ? JSON.stringify(json) : url)
    })
    const toolset = await open('', { url: `${server.url}/docs/api.json` })
    expect((await call(toolset, 'get_a', {}).result).output).toBe('/docs/v2/a')
  })

  it.each([
    ['is not there', { url: 'none.yaml' }, 'cannot be read'],
    ['is something else', { url: 'api.yaml' }, 'not an OpenAPI 3 specification'],
    [
      'is at a private address',
      { url: 'http://127.0.0.1:1/api?token=secret', allow_private_ips: false },
      'not a public address',
    ],
  ])('cannot start when the document %s', async (_, definition, message) => {
    const home = world()
    writeFileSync(join(home.root, 'api.yaml'), 'swagger: "2.0"\npaths: {}')
    const toolset = createToolset({ type: 'openapi', ...definition }, home.environment)
    const start = toolset?.start(new AbortController().signal)
    await expect(start).rejects.toThrow(message)
    await expect(start).rejects.toBeInstanceOf(ToolsetFailure)
    await expect(start).rejects.not.toThrow('secret')
  })

  it('is not kept busy by names and places that are long and hostile', async () => {
    const long = 600_000
    const url = '{'.repeat(long)
    const paths = { [`/${'{'.repeat(long)}`]: { get: { operationId: `a${'_'.repeat(long)}b` } } }
    const toolset = await open(JSON.stringify({ openapi: '3.0.0', servers: [{ url }], paths }))
    expect(toolset.tools.map(({ name }) => name)).toEqual(['a'])
    expect((await call(toolset, 'a', {}).result).isError).toBe(true)
  })

  it('cannot start with a document that grows when it is written out, except within bounds', async () => {
    const schemas = Object.fromEntries(
      Array.from({ length: 12 }, (_, level) => {
        const next = { $ref: `#/components/schemas/S${level + 1}` }
        return [
          `S${level}`,
          { type: 'object', properties: Object.fromEntries('abcdefgh'.split('').map((key) => [key, next])) },
        ]
      }),
    )
    const schema = { $ref: '#/components/schemas/S0' }
    const paths = { '/a': { post: { requestBody: { content: { 'application/json': { schema } } } } } }
    const { tools } = await open(JSON.stringify({ openapi: '3.0.0', paths, components: { schemas } }))
    expect(JSON.stringify(tools).length).toBeLessThan(2_000_000)
  })
})
