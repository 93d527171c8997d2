/**
 * Writes dist/quarterdeck-VERSION.tgz, which is what gets published: `npm publish dist/quarterdeck-VERSION.tgz`.
 *
 * It is packed from a copy, because the published manifest is another one: without the Node binary, which only a
 * checkout wants, and without what development needs. (A `prepack` script cannot do it: .npmrc turns scripts off.)
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const {
  private: _,
  scripts,
  devDependencies,
  optionalDependencies,
  ...manifest
} = JSON.parse(readFileSync('package.json', 'utf8'))
const stage = mkdtempSync(join(tmpdir(), 'quarterdeck-package-'))
try {
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
  for (const name of ['README.md', 'LICENSE', ...manifest.files]) {
    if (existsSync(name)) cpSync(name, join(stage, name), { recursive: true, filter: (path) => !path.endsWith('.tgz') })
  }
  execFileSync('npm', ['pack', '--pack-destination', resolve('dist')], { cwd: stage, stdio: 'inherit' })
} finally {
  rmSync(stage, { recursive: true, force: true })
}
