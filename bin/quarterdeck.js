#!/usr/bin/env node
// JavaScript that Node 12 can read: it is here to say that such a Node is too old.
// biome-ignore lint/style/useNodejsImportProtocol: the first versions of Node 12 do not know it
import { existsSync } from 'fs'

const needed = 24
const found = process.versions.node

if (parseInt(found, 10) < needed) {
  console.error(`quarterdeck: Node ${needed} or newer is needed, this is Node ${found}`)
  process.exitCode = 1
} else {
  // A checkout runs its sources, so that what runs is never the build of yesterday. The package has no sources.
  const source = new URL('../src/main.ts', import.meta.url)
  import(existsSync(source) ? source.href : new URL('../dist/main.js', import.meta.url).href)
}
