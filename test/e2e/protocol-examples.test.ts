import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tempDir } from '../store/temp-dir.ts'
import { curl, root, serve, shell } from './program.ts'

const [, examples = ''] = /### 8\.23 (.*?)\n## 9/s.exec(readFileSync(join(root, 'PROTOCOL.md'), 'utf8')) ?? []
const script = [...examples.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block).join('')

/** Notes the status of every answer, whoever reads its body. */
const noting = (file: string) =>
  `curl() { command curl -s -o '${file}.body' -w '%{http_code}\\n' "$@" >> '${file}'; cat '${file}.body'; }\n`

describe('The examples of PROTOCOL.md (skipped where there is no curl)', () => {
  test.skipIf(!curl)('are answered with the statuses that stand under them', async () => {
    const url = await serve('examples', join(tempDir(), 'sessions.db')).url
    const told = script.matchAll(/^# (\d{3})/gm)
    const statuses = join(tempDir(), 'statuses')
    const { stdout } = await shell(noting(statuses) + script.replace(/^api=\S+/, `api=${url}/api`))
    expect(readFileSync(statuses, 'utf8').trim().split('\n')).toEqual([...told].map(([, status]) => status))
    expect(stdout()).toContain('"type":"run_rolled_back"')
    expect(stdout()).toContain('"state":"waiting_for_person"')
    expect(stdout()).toContain('"code":"request_settled"')
  })
})
