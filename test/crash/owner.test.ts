import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { type Started, start } from '../process.ts'
import { writeAgents } from './agents.ts'
import { Client } from './client.ts'
import { program } from './program.ts'

const Created = z.object({ id: z.string(), title: z.string() })

let folder: string
let servers: Started[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-owner-'))
  writeAgents(join(folder, 'agents'))
  servers = []
})

afterEach(async () => {
  for (const server of servers) server.kill('SIGKILL')
  await Promise.all(servers.map((server) => server.exit))
  rmSync(folder, { recursive: true })
})

function serve(): Started {
  const server = start([program, 'serve', 'agents', '--listen', '127.0.0.1:0'], { cwd: folder })
  servers.push(server)
  return server
}

test('waits for a database that another process owns, and takes it over when that is killed', async () => {
  const first = serve()
  const { text } = await new Client(await first.url).send('POST', '', { title: 'handed over' })
  const second = serve()
  await second.logged('Server listening at ')
  const waiting = /Server listening at (http:[^"]+)/.exec(second.stderr())?.[1]
  const ready = await fetch(`${waiting}/ready`)
  expect([ready.status, await ready.json()]).toEqual([
    503,
    expect.objectContaining({ ready: false, latest_error: 'another process owns the database' }),
  ])
  expect(await new Client(`${waiting}`).send('GET', '')).toMatchObject({
    status: 503,
    text: expect.stringContaining('"code":"starting"'),
  })
  first.kill('SIGKILL')
  expect(await second.url).toBe(waiting)
  expect((await fetch(`${waiting}/ready`)).status).toBe(200)
  const created = Created.parse(JSON.parse(text))
  expect(await new Client(await second.url).get(`/${created.id}`, Created)).toMatchObject(created)
})
