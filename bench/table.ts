import { type Comparison, type Goal, median, ratios, verdict } from './comparison.ts'

const head = ['measured', 'ours', 'beside', 'ratio (least – most)', 'goal; stretch', 'met'] as const

const words = { stretch: 'stretch', goal: 'yes', missed: 'no' } as const

/** The comparisons as a table of Markdown, with columns that also line up on a screen. */
export function table(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(rowOf)
  const widths = head.map((title, column) => Math.max(...[head, ...rows].map((row) => (row[column] ?? title).length)))
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

function rowOf({ subject, reference, unit, pairs, goal }: Comparison): readonly string[] {
  const { least, median: ratio, most } = ratios(pairs)
  const ours = median(pairs.map((pair) => pair.ours))
  const beside = median(pairs.map((pair) => pair.reference))
  return [
    subject,
    `${figure(ours)} ${unit}`,
    `${figure(beside)} ${unit}: ${reference}`,
    `${figure(ratio)}x (${figure(least)} – ${figure(most)})`,
    goal === undefined ? '-' : goalText(goal),
    goal === undefined ? '-' : words[verdict(ratio, goal)],
  ]
}

function goalText({ bound, goal, stretch }: Goal): string {
  const sign = bound === 'at most' ? '≤' : '≥'
  return `${sign} ${goal}x; ${sign} ${stretch}x`
}

/** Three digits that count: more than that is noise. */
export function figure(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 3))
}
