import { readFileSync } from 'node:fs'

/** A row of a table: its cells by the heading of their column, without the marks of code. */
export type Row = Readonly<Record<string, string>>

/** A table with the comment that stands before it: `<!-- kind: name -->`, or `<!-- kind -->`. */
export interface Table {
  readonly kind: string
  readonly name: string
  readonly rows: readonly Row[]
}

const mark = /^<!-- ([\w-]+)(?:: (.+?))? -->$/

/** The marked tables of a Markdown text, in order. A mark without a table is a table without rows. */
export function tablesIn(markdown: string): readonly Table[] {
  const lines = markdown.split('\n')
  return lines.flatMap((line, at) => {
    const [, kind, name = ''] = mark.exec(line) ?? []
    return kind === undefined ? [] : [{ kind, name, rows: rowsAfter(lines, at) }]
  })
}

/** The marked tables of PROTOCOL.md. */
export function readProtocol(): readonly Table[] {
  return tablesIn(readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8'))
}

/** The table begins right after its mark, or after blank lines. */
function rowsAfter(lines: readonly string[], at: number): readonly Row[] {
  const start = lines.findIndex((line, index) => index > at && line.trim() !== '')
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith('|'))
  if (start === -1) return []
  const [headings = [], , ...rows] = lines.slice(start, end === -1 ? undefined : end).map(cellsOf)
  return rows.map((cells) => Object.fromEntries(headings.map((heading, column) => [heading, cells[column] ?? ''])))
}

/** A vertical line inside a cell is written `\|`. */
function cellsOf(line: string): string[] {
  const cells = line
    .trim()
    .replace(/^\||\|$/g, '')
    .split(/(?<!\\)\|/)
  return cells.map((cell) => cell.trim().replaceAll('\\|', '|').replaceAll('`', ''))
}
