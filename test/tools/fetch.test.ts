import { describe, expect, it } from 'vitest'
import { isListed } from '../../src/tools/domains.ts'
import { Robots } from '../../src/tools/robots.ts'
import { createToolset, type ToolsetDefinition, ToolsetFailure } from '../../src/tools/tools.ts'
import { httpServer } from '../models/http-server.ts'
import { call } from './call.ts'
import { started, world } from './world.ts'

const page = `<!doctype html><html><head><title>T</title><style>p {}</style></head><body><script>bad()</script>
<h1>Head *line*</h1><p>Some <b>bold</b> <a href="/x">link</a> &amp; more</p><ul><li>one</li><li>two</li></ul></body></html>`

/** A site with a page at each of the paths. */
async function site(
  answers: Readonly<Record<string, { type?: string; body?: string | Buffer; status?: number; to?: string }>>,
) {
  const seen: { path: string | undefined; headers: NodeJS.Dict<string | string[]> }[] = []
  const server = await httpServer((request, response) => {
    seen.push({ path: request.url, headers: request.headers })
    const { status = 200, type, body = '', to } = answers[request.url ?? ''] ?? { status: 404 }
    const headers = { ...(type && { 'content-type': type }), ...(to && { location: to }) }
    response.writeHead(to ? 302 : status, headers).end(body)
  })
  return { server, seen, url: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

async function open(definition: Partial<ToolsetDefinition> = {}) {
  const toolset = await started({ type: 'fetch', allow_private_ips: true, ...definition }, world().environment)
  return (urls: unknown, format = 'text') => call(toolset, 'fetch', { urls, format }).result
}

describe('fetching pages', () => {
  it.each([
    ['markdown', '# Head \\*line\\*\n\nSome **bold** [link](/x) & more\n\n-   one\n-   two'],
    ['text', 'Head *line*\n\nSome bold link & more\n\n-   one\n-   two'],
    ['html', page],
  ])('returns HTML as %s', async (format, output) => {
    await using pages = await site({ '/': { type: 'text/html; charset=utf-8', body: page } })
    expect(await (await open())([`${pages.url}/`], format)).toEqual({ output })
  })

  it.each([
    ['text as it is', { type: 'text/plain', body: '<b>x</b>' }, '<b>x</b>'],
    ['text in another charset', { type: 'text/plain; charset=iso-8859-1', body: Buffer.from([0xe9]) }, 'é'],
    ['text in no charset that is known', { type: 'text/plain; charset=klingon', body: 'x' }, 'x'],
    ['JSON', { type: 'application/json', body: '{"a":1}' }, '{"a":1}'],
  ])('returns %s', async (_, answer, output) => {
    await using pages = await site({ '/': answer })
    expect(await (await open())([`${pages.url}/`], 'markdown')).toEqual({ output })
  })

  it.each([
    ['an answer that is an error', { status: 500, body: 'x' }, 'it answered 500'],
    ['what is no text', { type: 'image/png', body: Buffer.from([0, 1]) }, 'it is not text but image/png'],
    ['what robots must not read', { body: 'x' }, 'must not be read by programs', 'User-agent: *\nDisallow: /'],
  ])('tells %s as an error', async (_, answer, output, robots = '') => {
    await using pages = await site({ '/': answer, '/robots.txt': { body: robots } })
    expect(await (await open())([`${pages.url}/`])).toMatchObject({
      isError: true,
      output: expect.stringContaining(output),
    })
  })

  it('does not read a site that cannot say what robots may read, and asks again later', async () => {
    const answers = { '/': { body: 'x' }, '/robots.txt': { status: 503 } }
    await using pages = await site(answers)
    const ask = await open()
    expect(await ask([`${pages.url}/`])).toMatchObject({ isError: true, output: expect.stringContaining('503') })
    answers['/robots.txt'].status = 404
    expect(await ask([`${pages.url}/`])).toEqual({ output: 'x' })
  })

  it('returns several pages, with the errors of some, and cuts the long ones', async () => {
    await using pages = await site({ '/a': { body: 'first' }, '/long': { body: 'x'.repeat(2_000_000) } })
    const ask = await open()
    const { output, isError } = await ask([`${pages.url}/a`, `${pages.url}/none`, 'mailto:me'])
    expect(isError).toBeUndefined()
    expect(output).toContain(`=== ${pages.url}/a ===\nfirst\n\n=== ${pages.url}/none ===\nError: `)
    expect(output).toContain('mailto:me is not an http or https URL')
    expect((await ask(`${pages.url}/long`)).output).toContain('Only the first 1048576 bytes')
  })

  it('refuses private addresses unless they are allowed', async () => {
    await using pages = await site({ '/': { body: 'x' } })
    const ask = await open({ allow_private_ips: false })
    for (const url of [pages.url, pages.url.replace('127.0.0.1', 'localhost')]) {
      expect(await ask([url])).toMatchObject({
        isError: true,
        output: expect.stringContaining('is not a public address'),
      })
    }
    expect(pages.seen).toEqual([])
  })

  it('sends its headers to the host that was asked for and to no other', async () => {
    await using other = await site({ '/there': { body: 'there' } })
    await using pages = await site({ '/': { to: `${other.url}/there` } })
    const ask = await open({ headers: { Authorization: 'Bearer x${env.KEY}', Accept: 'own/type' } })
    expect(await ask([`${pages.url}/`])).toEqual({ output: 'there' })
    expect(pages.seen.at(-1)?.headers).toMatchObject({ authorization: 'Bearer x', accept: 'own/type' })
    expect(other.seen.at(-1)?.headers.authorization).toBeUndefined()
  })

  it.each([
    ['not in the list that is allowed', { allowed_domains: ['example.com'] }],
    ['in the list that is blocked', { blocked_domains: ['127.0.0.0/8'] }],
  ])('does not ask a host that is %s', async (_, lists) => {
    await using pages = await site({})
    const result = await (await open(lists))([pages.url])
    expect(result).toMatchObject({ isError: true, output: '127.0.0.1 is not a host that may be read.' })
    expect(pages.seen).toEqual([])
  })

  it('does not follow a redirect to a host that may not be read', async () => {
    await using pages = await site({ '/': { to: 'http://blocked.example/' } })
    const result = await (await open({ blocked_domains: ['blocked.example'] }))([pages.url])
    expect(result).toMatchObject({ isError: true, output: expect.stringContaining('blocked.example is not a host') })
  })

  it.each([
    ['two lists', { allowed_domains: ['a.b'], blocked_domains: ['c.d'] }],
    ['a domain that is none', { blocked_domains: ['*.*.example.com'] }],
    ['a range that is none', { blocked_domains: ['10.0.0.0/99'] }],
  ])('does not start with %s', async (_, lists) => {
    const toolset = createToolset({ type: 'fetch', ...lists }, world().environment)
    await expect(toolset?.start(new AbortController().signal)).rejects.toBeInstanceOf(ToolsetFailure)
    await toolset?.close()
  })

  it('gives up on a page that does not come', async () => {
    await using server = await httpServer(({ url }, response) => void (url === '/robots.txt' && response.end()))
    const toolset = await started({ type: 'fetch', allow_private_ips: true }, world().environment)
    const result = await call(toolset, 'fetch', { urls: [server.url], format: 'text', timeout: 1 }).result
    expect(result).toMatchObject({ isError: true, output: expect.stringContaining('It took longer than 1 s.') })
  })
})

it.each([
  ['example.com', 'http://example.com', true],
  ['example.com', 'http://DOCS.example.com.', true],
  ['example.com', 'http://badexample.com', false],
  ['.example.com', 'http://example.com', false],
  ['*.example.com', 'http://a.b.example.com', true],
  ['Example.COM.', 'http://example.com', true],
  ['169.254.169.254', 'http://169.254.169.254', true],
  ['169.254.169.254', 'http://[::ffff:169.254.169.254]', true],
  ['169.254.0.0/16', 'http://169.254.1.1', true],
  ['169.254.0.0/16', 'http://169.255.1.1', false],
  ['169.254.0.0/16', 'http://example.com', false],
  ['fc00::/7', 'http://[fd00::1]', true],
  ['0.0.1', 'http://127.0.0.1', false],
])('knows whether %s means %s: %s', (pattern, url, listed) => {
  expect(isListed(new URL(url), [pattern])).toBe(listed)
})

it.each([
  ['nothing', '', '/a', true],
  ['another program', 'User-agent: other\nDisallow: /', '/a', true],
  ['all programs', 'User-agent: *\nDisallow: /a', '/a/b', false],
  ['all programs, elsewhere', 'User-agent: *\nDisallow: /a', '/b', true],
  ['this program and not all', 'User-agent: *\nDisallow: /\n\nUser-agent: Quarterdeck\nDisallow: /x', '/a', true],
  ['several programs at once', 'user-agent: quarterdeck\nuser-agent: other\ndisallow: /a # here', '/a', false],
  ['the longer rule', 'User-agent: *\nDisallow: /a\nAllow: /a/b', '/a/b/c', true],
  ['two rules as long', 'User-agent: *\nDisallow: /a\nAllow: /a', '/a', true],
  ['any text', 'User-agent: *\nDisallow: /*.php', '/x/y.php?z', false],
  ['the end', 'User-agent: *\nDisallow: /*.php$', '/y.php?z', true],
  ['any text and the end', 'User-agent: *\nDisallow: /*.php$', '/a.php.php', false],
  ['the whole path', 'User-agent: *\nDisallow: /a$', '/ab', true],
  ['nothing that is forbidden', 'User-agent: *\nDisallow:', '/a', true],
])('reads in robots.txt of %s', (_, text, path, allowed) => {
  expect(new Robots(text, 'quarterdeck').allows(new URL(path, 'http://x'))).toBe(allowed)
})
