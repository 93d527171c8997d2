/**
 * The built program many times over in one process, because starting a process takes longer than starting the program.
 * Obeys lines on stdin: `open FOLDER` starts it on the database in a folder, `close FOLDER` ends it. Answers each with one
 * line of JSON; its log goes to stderr.
 */
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import { z } from 'zod'

const built = (name: string): string => pathToFileURL(resolve(import.meta.dirname, '../../../dist', name)).href
const { createApp }: typeof import('../../../src/app.ts') = await import(built('app.js'))
const { parseCommandLine }: typeof import('../../../src/command-line.ts') = await import(built('command-line.js'))

const logger = pino({ level: 'error', base: null }, pino.destination({ dest: 2, sync: true }))
const apps = new Map<string, Awaited<ReturnType<typeof createApp>>>()
const Line = z.tuple([z.enum(['open', 'close']), z.string()])

async function open(folder: string): Promise<string> {
  const flags = ['--listen', '127.0.0.1:0', '--session-db', `${folder}/quarterdeck.db`, '--shutdown-grace', '4s']
  const command = parseCommandLine(['serve', `${folder}/agents`, ...flags], {})
  if (command.kind !== 'serve') throw new Error('the command line is wrong')
  const app = await createApp(command.config, { logger, variables: {} })
  apps.set(folder, app)
  return app.listen()
}

async function close(folder: string): Promise<string> {
  await apps.get(folder)?.close()
  apps.delete(folder)
  return ''
}

for await (const line of createInterface({ input: process.stdin })) {
  const [order, folder] = Line.parse(line.split('\t'))
  const obeyed = order === 'open' ? open(folder) : close(folder)
  obeyed.then(
    (text) => console.log(JSON.stringify({ order, folder, text })),
    (error: unknown) => console.log(JSON.stringify({ order, folder, error: String(error) })),
  )
}
process.exit()
