import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Started, start } from '../process.ts'
import { Client } from './client.ts'
import { program } from './program.ts'

const Created = z.object({ id: z.string() })
const diskSize = 96 * 1024 * 1024
/** From here on the log beside the database is used again from its beginning: what is small finds room in it for long. */
const logSize = 8 * 1024 * 1024

/** Says as much as fills the disk in the end. */
const flood = {
  models: { plays: { provider: 'scripted', model: 'flood', provider_opts: { script: [[talk()]] } } },
  agents: { root: { model: 'plays', description: 'flood', instruction: 'Play.' } },
}

function talk(): object {
  return { text: `${'w'.repeat(200)} `.repeat(4000), every: '2ms' }
}

let folder: string
let disk: string
let server: Started

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-full-disk-'))
  disk = join(folder, 'disk')
  for (const directory of ['agents', 'disk']) mkdirSync(join(folder, directory))
  writeFileSync(join(folder, 'agents/flood.yaml'), JSON.stringify(flood))
})

afterEach(() => rmSync(folder, { recursive: true }))

describe.runIf(canMount())('a disk that is full (needs to mount one)', () => {
  beforeEach(() => {
    mount(disk)
  })

  afterEach(async () => {
    server.kill('SIGKILL')
    await server.exit
    spawnSync('umount', [disk])
  })

  test('is found to be full until there is room that is worth the while', async () => {
    const database = join(disk, 'quarterdeck.db')
    const args = ['serve', 'agents', '--listen', '127.0.0.1:0', '--log-level', 'warn', '--session-db', database]
    server = start([program, ...args], { cwd: folder })
    const client = new Client(await server.url)
    for (let n = 0; n < 12; n++) {
      const { id } = Created.parse(JSON.parse((await client.send('POST', '', {})).text))
      const body = { agent: 'flood', messages: [{ content: 'Ahoy!' }] }
      expect((await client.send('POST', `/${id}/runs`, body)).status).toBe(202)
    }
    await expect.poll(() => statSync(`${database}-wal`).size).toBeGreaterThan(logSize)
    const filler = join(disk, 'filler')
    expect(() => writeFileSync(filler, Buffer.alloc(diskSize))).toThrow('ENOSPC')
    await expect.poll(readiness).toBe(503)
    rmSync(filler)
    await expect.poll(readiness).toBe(200)
    expect(server.stderr().match(/is full/g)).toHaveLength(1)
  })
})

async function readiness(): Promise<number> {
  const response = await fetch(`${await server.url}/ready`)
  await response.text()
  return response.status
}

function mount(place: string): boolean {
  return spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${diskSize}`, 'tmpfs', place]).status === 0
}

function canMount(): boolean {
  const place = mkdtempSync(join(tmpdir(), 'quarterdeck-mount-'))
  const could = mount(place)
  if (could) spawnSync('umount', [place])
  rmSync(place, { recursive: true })
  return could
}
