import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { calls, sh } from '../runtime/tool-bench.ts'
import { tempDir } from '../store/temp-dir.ts'
import { oddServer } from '../tools/mcp/harness.ts'
import { isAlive } from '../tools/world.ts'
import { equipped, pidsIn, processesWith, resultsIn } from './equipped.ts'
import { createSession, House } from './house.ts'
import { readRun } from './resuming-reader.ts'

const { PATH = '' } = process.env

/** An agent that asks an MCP server for the numbers of its processes, in every run. */
function asking(...oddities: readonly string[]): string {
  const server = { type: 'mcp', ...oddServer(...oddities), env: { MARK: '$' + '{env.MARK}' } }
  const tool = 'odd_pids'
  return equipped({ toolsets: [server] }, [[calls(tool)], [{ text: 'asked' }]])
}

async function sessionIn({ client }: House): Promise<string> {
  return await createSession(client, { title: 'A title', safety_policy: 'autonomous', working_dir: tempDir() })
}

async function run(house: House, id: string): Promise<void> {
  const { frames } = await readRun(house.url, id, { agent: 'it', text: 'go on', cuts: [] })
  expect(frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
}

/** Runs the agent and returns the processes of its server. */
async function pidsOf(house: House, id: string): Promise<readonly number[]> {
  await run(house, id)
  const pids = pidsIn((await resultsIn(house.client, id)).at(-1))
  expect(pids).toHaveLength(2)
  return pids
}

const alive = [true, true]
const gone = [false, false]

describe('The toolsets of a session', () => {
  test('are kept between its runs, are its own, and end when it is deleted', async () => {
    await using house = await House.open({ files: { it: asking() }, variables: { PATH } })
    const [id, other] = [await sessionIn(house), await sessionIn(house)]
    const pids = await pidsOf(house, id)
    expect(await pidsOf(house, id)).toEqual(pids)
    const others = await pidsOf(house, other)
    expect(others).not.toEqual(pids)
    const query = { wait: 'true', timeout: '1m' }
    expect((await house.client.call('deleteSession', { params: { id }, query })).status).toBe(200)
    expect(pids.map(isAlive)).toEqual(gone)
    expect(others.map(isAlive)).toEqual(alive)
  })

  test.each([
    ['', []],
    [', also those that will not go', ['stubborn']],
  ])('end with the server%s', async (_, oddities) => {
    await using house = await House.open({ files: { it: asking(...oddities) }, variables: { PATH } })
    const pids = await pidsOf(house, await sessionIn(house))
    expect(pids.map(isAlive)).toEqual(alive)
    await house.close()
    expect(pids.map(isAlive)).toEqual(gone)
  })

  test('are stopped after ten minutes without a run, and started again by the next', async () => {
    // Only what measures idleness: everything else goes on as the clock says.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    await using house = await House.open({ files: { it: asking() }, variables: { PATH } })
    const id = await sessionIn(house)
    const pids = await pidsOf(house, id)
    vi.advanceTimersByTime(9 * 60_000)
    expect(await pidsOf(house, id)).toEqual(pids)
    vi.advanceTimersByTime(9 * 60_000)
    expect(pids.map(isAlive)).toEqual(alive)
    vi.advanceTimersByTime(2 * 60_000)
    await vi.waitFor(() => expect(pids.map(isAlive)).toEqual(gone), { timeout: 30_000 })
    const others = await pidsOf(house, id)
    expect(others).not.toEqual(pids)
    expect(others.map(isAlive)).toEqual(alive)
  })

  test('are those of the file as it is when a run begins', async () => {
    await using house = await House.open({ files: { it: asking() }, variables: { PATH } })
    const id = await sessionIn(house)
    const pids = await pidsOf(house, id)
    house.write('it', asking('edited'))
    const edited = await pidsOf(house, id)
    expect(edited).not.toEqual(pids)
    expect(pids.map(isAlive)).toEqual(gone)
    expect(edited.map(isAlive)).toEqual(alive)
  })
})

test('Fifty runs with tools at once leave no process, no temporary file and no open file behind', async () => {
  const temp = join(tempDir(), 'tmp')
  mkdirSync(temp)
  vi.stubEnv('TMPDIR', temp)
  onTestFinished(() => void vi.unstubAllEnvs())
  const mark = `MARK=${crypto.randomUUID()}`
  const variables = { PATH, MARK: mark.slice('MARK='.length), TMPDIR: temp }
  const batch = [
    sh('sleep 1000 & echo left behind'),
    sh('seq 1 20000'),
    calls('write_file', { path: 'a', content: 'b' }),
  ]
  const busy = equipped({ toolsets: [{ type: 'shell' }, { type: 'filesystem' }] }, [batch, [{ text: 'done' }]])
  const before = openThings()
  const house = await House.open({ files: { it: asking(), busy }, variables })
  const works = Array.from({ length: 50 }, async (_, n) => {
    const id = await sessionIn(house)
    if (n % 10 === 0) return { id, pids: await pidsOf(house, id) }
    const { frames } = await readRun(house.url, id, { agent: 'busy', text: 'go on', cuts: [] })
    expect(frames.at(-1)?.event).toMatchObject({ type: 'stream_stopped', reason: 'normal' })
    expect((await resultsIn(house.client, id)).length).toBe(3)
    return { id, pids: [] }
  })
  const sessions = await Promise.all(works)
  expect(readdirSync(temp).filter((name) => name.startsWith('quarterdeck-result-'))).not.toEqual([])
  const deletions = sessions
    .slice(0, 25)
    .map(({ id }) => house.client.call('deleteSession', { params: { id }, query: { wait: 'true' } }))
  for (const { status } of await Promise.all(deletions)) expect(status).toBe(200)
  await house[Symbol.asyncDispose]()
  expect(sessions.flatMap(({ pids }) => pids).filter(isAlive)).toEqual([])
  expect(processesWith(mark)).toEqual([])
  const ours = 'quarterdeck-store-'
  expect(readdirSync(temp).filter((name) => !name.startsWith(ours))).toEqual([])
  expect(openThings()).toEqual(before)
})

/** What keeps a process from its end, apart from the connections that fetch keeps for itself. */
function openThings(): readonly string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => /Process|Pipe|FSReq|Worker|MessagePort/.test(name))
    .sort()
}
