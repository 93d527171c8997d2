import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { createToolset, ownProcesses } from '../../src/tools/tools.ts'

/** Owns a database, says so, and runs a line of shell for as long as it takes; what the line writes is told. */
const [database = '', line = ''] = process.argv.slice(2)
await ownProcesses(database)
process.stdout.write('owns\n')
if (line !== '') {
  const workingDir = dirname(database)
  const dataDir = `${database}-data`
  mkdirSync(dataDir, { recursive: true })
  const { PATH, HOME } = process.env
  const toolset = createToolset({ type: 'shell' }, { workingDir, dataDir, variables: { PATH, HOME } })
  await toolset?.start(new AbortController().signal)
  const context = {
    callId: 'call',
    signal: new AbortController().signal,
    output: (chunk: string) => void process.stdout.write(chunk),
    elicit: () => Promise.reject(new Error('nobody asks here')),
    headers: {},
  }
  await toolset?.call('shell', { cmd: line, timeout: 600 }, context)
  await toolset?.close()
}
