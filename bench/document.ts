import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import type { Comparison } from './comparison.ts'
import { table } from './table.ts'

const begin = '<!-- figures -->'
const end = '<!-- /figures -->'

/** Replaces what stands between the two markers of a document. Throws when it has not both. */
export function withFigures(text: string, figures: string): string {
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`the document has no ${begin} and ${end}`)
  return `${text.slice(0, from + begin.length)}\n\n${figures}\n\n${text.slice(to)}`
}

/** Writes the figures into a document, with the machine that they come from. */
export function writeFigures(path: string, comparisons: readonly Comparison[]): void {
  const figures = `${machine()}\n\n${table(comparisons)}`
  writeFileSync(path, withFigures(readFileSync(path, 'utf8'), figures))
}

function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown'
  const day = new Date().toISOString().slice(0, 10)
  return `Measured on ${day} with Node ${process.versions.node} on ${process.platform} ${process.arch}, ${availableParallelism()} cores (${model}).`
}
